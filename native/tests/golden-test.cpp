// The golden files of test/golden, which the TypeScript codec reads too.
#include "common/json.h"

#include <doctest/doctest.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "agent/requests.h"
#include "agent/single/request.h"
#include "common/frame.h"

using namespace plybox;

namespace {

std::string golden(const std::string& name) {
  const char* directory = std::getenv("GOLDEN");
  REQUIRE_MESSAGE(directory != nullptr, "GOLDEN names the directory of golden frames");
  std::ifstream file(std::string(directory) + "/" + name, std::ios::binary);
  REQUIRE_MESSAGE(file.good(), name);
  return {std::istreambuf_iterator<char>(file), {}};
}

rapidjson::Document parse(const std::string& text) {
  rapidjson::Document document;
  document.Parse(text.c_str());
  REQUIRE_FALSE(document.HasParseError());
  return document;
}

std::string text_of(const rapidjson::Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return buffer.GetString();
}

const char* const kNames[] = {"",       "hello", "open",  "ack",   "data", "end",
                              "credit", "exit",  "error", "close", "lost", "progress"};

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

void check_frame(const Frame& frame, const rapidjson::Value& expected) {
  CHECK(kNames[static_cast<int>(frame.kind)] == std::string(expected["kind"].GetString()));
  CHECK(frame.channel == expected["channel"].GetUint());
  CHECK(payload_problem(frame) == nullptr);
  switch (frame.kind) {
    case Kind::kData: {
      Data data = *parse_data(frame.payload);
      CHECK(data.stream == expected["stream"].GetUint());
      CHECK(data.offset == expected["offset"].GetUint64());
      CHECK(data.bytes == from_hex(expected["payloadHex"].GetString()));
      break;
    }
    case Kind::kEnd:
      CHECK(parse_end(frame.payload)->stream == expected["stream"].GetUint());
      CHECK(parse_end(frame.payload)->offset == expected["offset"].GetUint64());
      break;
    case Kind::kCredit:
      CHECK(*parse_credit(frame.payload) == expected["bytes"].GetUint());
      break;
    case Kind::kLost:
      CHECK(parse_lost(frame.payload)->from == expected["from"].GetUint64());
      CHECK(parse_lost(frame.payload)->to == expected["to"].GetUint64());
      break;
    case Kind::kClose:
      break;
    default: {
      rapidjson::Document payload = parse(std::string(frame.payload));
      CHECK(static_cast<const rapidjson::Value&>(payload) == expected["json"]);
    }
  }
}

void append_golden(std::string& out, const rapidjson::Value& frame) {
  std::string kind = frame["kind"].GetString();
  uint32_t channel = frame["channel"].GetUint();
  auto stream = [&] { return static_cast<uint8_t>(frame["stream"].GetUint()); };
  if (kind == "data") {
    std::string bytes = from_hex(frame["payloadHex"].GetString());
    append_data_header(out, channel, stream(), frame["offset"].GetUint64(), bytes.size());
    out += bytes;
  } else if (kind == "end") {
    append_end(out, channel, stream(), frame["offset"].GetUint64());
  } else if (kind == "credit") {
    append_credit(out, channel, frame["bytes"].GetUint());
  } else if (kind == "lost") {
    append_lost(out, channel, stream(), frame["from"].GetUint64(), frame["to"].GetUint64());
  } else if (kind == "close") {
    append_frame(out, Kind::kClose, channel, "");
  } else {
    auto number = std::find(std::begin(kNames), std::end(kNames), kind) - std::begin(kNames);
    append_frame(out, static_cast<Kind>(number), channel, text_of(frame["json"]));
  }
}

}  // namespace

TEST_CASE("golden frames decode to what they say, and encode to the same bytes") {
  rapidjson::Document entries = parse(golden("frames.json"));
  REQUIRE(entries.Size() > 20);
  for (const auto& entry : entries.GetArray()) {
    CAPTURE(entry["file"].GetString());
    std::string bytes = golden(entry["file"].GetString());
    FrameDecoder decoder;
    decoder.feed(bytes);
    Frame frame;
    if (entry.HasMember("error")) {
      FrameDecoder::Step step;
      while ((step = decoder.next(frame)) == FrameDecoder::Step::kFrame) {
      }
      CHECK(step == FrameDecoder::Step::kBad);
      bool kind = std::string(decoder.problem()).find("kind") != std::string::npos &&
                  std::string(decoder.problem()).find("short") == std::string::npos;
      CHECK(std::string(entry["error"].GetString()) == (kind ? "kind" : "length"));
      continue;
    }
    std::string encoded;
    for (const auto& expected : entry["frames"].GetArray()) {
      REQUIRE(decoder.next(frame) == FrameDecoder::Step::kFrame);
      check_frame(frame, expected);
      append_golden(encoded, expected);
    }
    CHECK(decoder.next(frame) == FrameDecoder::Step::kNeedMore);
    CHECK(decoder.buffered() == 0);
    CHECK(encoded == bytes);
  }
}

TEST_CASE("golden broken payloads are refused") {
  rapidjson::Document entries = parse(golden("payloads.json"));
  REQUIRE(entries.Size() > 5);
  for (const auto& entry : entries.GetArray()) {
    CAPTURE(entry["file"].GetString());
    std::string bytes = golden(entry["file"].GetString());
    FrameDecoder decoder;
    decoder.feed(bytes);
    Frame frame;
    REQUIRE(decoder.next(frame) == FrameDecoder::Step::kFrame);
    if (payload_problem(frame) != nullptr) continue;
    JsonDocument document;
    document.parse(frame.payload);
    REQUIRE(document.problem().found());
    CHECK(document.problem().field.empty());
  }
}

TEST_CASE("golden requests to the agent are understood") {
  for (const char* name : {"exec-argv", "exec-shell", "exec-full", "attach", "read", "list", "signal", "resize", "wait",
                           "input", "forget", "dial-port", "dial-socket", "ports", "usage", "stop"}) {
    CAPTURE(name);
    std::string bytes = golden("open-" + std::string(name) + ".bin");
    JsonDocument document;
    CHECK(decode_request(document, std::string_view(bytes).substr(kFrameHeader)).has_value());
    CHECK(document.problem().message == "");
  }
}

TEST_CASE("golden requests to the one-execution agent are understood") {
  auto decoded = [](const std::string& name) {
    std::string bytes = golden(name);
    JsonDocument document;
    std::optional<single::ExecuteRequest> request =
        single::decode_execute(document, std::string_view(bytes).substr(kFrameHeader), 65536);
    CHECK(document.problem().message == "");
    REQUIRE(request.has_value());
    return *request;
  };
  single::ExecuteRequest full = decoded("open-execute.bin");
  CHECK(full.source == "int main() { return 0; }\n");
  CHECK(full.source_name == "main.c");
  CHECK(full.compile == std::vector<std::string>{"gcc", "-O2", "-o", "main", "main.c"});
  CHECK(full.run == std::vector<std::string>{"./main"});
  CHECK(full.input == std::string("\0\1\2", 3));
  CHECK_FALSE(full.stream_input);
  CHECK(full.environment == std::vector<std::pair<std::string, std::string>>{{"A", "b"}});
  CHECK(full.wall_ms == 10000);
  CHECK(full.cpu_ms == 2000);
  CHECK(full.memory_bytes == 67108864);
  CHECK(full.output_bytes == 1000000);
  CHECK(full.compile_wall_ms == 30000);
  CHECK(full.processes == 128);
  CHECK(full.ring_bytes == 1048576);
  single::ExecuteRequest streamed = decoded("open-execute-stream.bin");
  CHECK(streamed.source == std::string("\0\1\xff", 3));
  CHECK(streamed.compile.empty());
  CHECK(streamed.stream_input);
  CHECK_FALSE(streamed.cpu_ms.has_value());
  CHECK_FALSE(streamed.memory_bytes.has_value());
  CHECK(streamed.output_bytes == 16777216);
}
