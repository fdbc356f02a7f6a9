// Listing and searching trees.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/files.h"

using namespace plybox;
using namespace plybox::test;

TEST_CASE("a list is sorted by the bytes of the whole path, to the depth that is asked for") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    for (const char* name : {"a/b/c", "a/z", "a-b", "a.txt", "a0", "B", "b/.hidden/x", "b/y", ".dot"})
      tree.write(name, "");
    auto paths = [&](const std::string& fields) { return joined(lines(file(agent, "list", tree.path(), fields))); };
    CHECK(paths("") == ".dot B a a-b a.txt a0 b");
    CHECK(paths(R"("depth":2)") == ".dot B a a-b a.txt a/b a/z a0 b b/.hidden b/y");
    CHECK(paths(R"("depth":9)") == ".dot B a a-b a.txt a/b a/b/c a/z a0 b b/.hidden b/.hidden/x b/y");
    CHECK(paths(R"("depth":9,"hidden":false)") == "B a a-b a.txt a/b a/b/c a/z a0 b b/y");
    CHECK(file(agent, "list", tree.at("B")).code() == "not-a-directory");
    CHECK(file(agent, "list", tree.at("missing")).code() == "no-such-file");
    CHECK(file(agent, "list", tree.path(), R"("depth":0)").last.text("field") == "depth");
  });
}

TEST_CASE("pages of a list, however small, make up the whole") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    for (const char* name : {"a/b/c", "a/z", "a-b", "a.txt", "b/shut/x", "b/shut!", "b/shut.x", "c\n\xff/d"}) {
      tree.write(name, "");
    }
    REQUIRE(chmod(tree.at("b/shut").c_str(), 0) == 0);
    const std::string fields = R"("depth":9,"user":"4321:8765")";
    Outcome whole = file(agent, "list", tree.path(), fields);
    CHECK(whole.out.find(R"({"path":"b/shut/","error":{"code":"permission-denied"}})") != std::string::npos);
    for (int limit = 1; limit <= 15; limit++) {
      CAPTURE(limit);
      std::string all, page = fields + R"(,"limit":)" + std::to_string(limit), after;
      for (int pages = 0; pages < 20; pages++) {
        Outcome part = file(agent, "list", tree.path(), page + after);
        all += part.out;
        CHECK(part.last.number("entries") == lines(part).size());
        CHECK(lines(part).size() <= static_cast<size_t>(limit));
        if (!part.last.boolean("more")) break;
        // The last line's path, as it was written.
        std::string last = lines(part).back().payload;
        after = R"(,"after":)" +
                last.substr(8, last.find(last.find(R"(,"entry")") == last.npos ? R"(,"error")" : R"(,"entry")") - 8);
      }
      CHECK(all == whole.out);
    }
  });
}

TEST_CASE("a directory of 100,000 entries is listed, searched and removed") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    // In memory: a disk takes minutes for so many, and lists them no other way.
    Tree tree("/dev/shm");
    REQUIRE(mkdir(tree.at("d").c_str(), 0755) == 0);
    UniqueFd directory(open(tree.at("d").c_str(), O_DIRECTORY | O_CLOEXEC));
    constexpr size_t kEntries = 100000;
    for (size_t i = 0; i < kEntries; i++) {
      REQUIRE(mknodat(directory.get(), std::to_string(i).c_str(), S_IFREG | 0644, 0) == 0);
    }
    Outcome listed = file(agent, "list", tree.at("d"));
    CHECK(listed.last.number("entries") == kEntries);
    CHECK(std::count(listed.out.begin(), listed.out.end(), '\n') == kEntries);
    Outcome page = file(agent, "list", tree.at("d"), R"("after":"99997","limit":10)");
    CHECK(joined(lines(page)) == "99998 99999");
    CHECK(file(agent, "search", tree.path(), R"("name":"*77?7")").last.number("matches") == 100);
    CHECK(file(agent, "remove", tree.at("d"), R"("recursive":true)").last.number("removed") == kEntries + 1);
  });
}

TEST_CASE("a tree that is deeper than a process may have descriptors is listed and removed") {
  for_each_agent([](const std::string& program) {
    AgentSettings settings;
    settings.descriptors = 256;
    AgentProcess agent(program, settings);
    Tree tree;
    constexpr int kDepth = 1200;
    UniqueFd at(open(tree.path().c_str(), O_DIRECTORY | O_CLOEXEC));
    for (int i = 0; i < kDepth; i++) {
      REQUIRE(mkdirat(at.get(), "d", 0755) == 0);
      REQUIRE(mknodat(at.get(), "f", S_IFREG | 0644, 0) == 0);
      at = UniqueFd(openat(at.get(), "d", O_DIRECTORY | O_CLOEXEC));
    }
    CHECK(file(agent, "list", tree.path(), R"("depth":100000)").last.number("entries") == 2 * kDepth);
    CHECK(file(agent, "chmod", tree.at("d"), R"("mode":448,"recursive":true)").last.number("changed") ==
          2 * kDepth - 1);
    CHECK(file(agent, "remove", tree.at("d"), R"("recursive":true)").last.number("removed") == 2 * kDepth - 1);
    CHECK(tree.count() == 1);
  });
}

TEST_CASE("no line is longer than a host takes, whatever paths and content there are") {
  constexpr size_t kLongestLine = 524288;
  auto longest = [](const std::string& text) {
    size_t most = 0;
    for (size_t start = 0, end; (end = text.find('\n', start)) != text.npos; start = end + 1)
      most = std::max(most, end - start);
    return most;
  };
  for_each_agent([&](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    // A control character takes six bytes of JSON.
    const std::string name(255, '\1');
    UniqueFd at(open(tree.path().c_str(), O_DIRECTORY | O_CLOEXEC));
    for (int i = 0; i < 600; i++) {
      REQUIRE(mkdirat(at.get(), name.c_str(), 0755) == 0);
      at = UniqueFd(openat(at.get(), name.c_str(), O_DIRECTORY | O_CLOEXEC));
    }
    Outcome listed = file(agent, "list", tree.path(), R"("depth":1000)");
    // Sixteen are named within 4,096 bytes, and the one below them is named, but not entered.
    CHECK(listed.last.number("entries") == 18);
    CHECK(listed.out.ends_with(R"("error":{"code":"too-deep"}})"
                               "\n"));
    CHECK(longest(listed.out) <= kLongestLine);
    CHECK(file(agent, "search", tree.path(), R"("name":"*")").last.number("matches") == 17);
    tree.write("line", std::string(100000, '\1') + "needle" + std::string(100000, '\1'));
    Outcome found = file(agent, "search", tree.path(), R"("content":"needle","contextBytes":65536)");
    CHECK(found.last.number("matches") == 1);
    CHECK(longest(found.out) > 6 * 65000);
    CHECK(longest(found.out) <= kLongestLine);
    CHECK(file(agent, "remove", tree.at(name), R"("recursive":true)").last.number("removed") == 600);
  });
}

TEST_CASE("names are found by a glob of their last part") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    for (const char* name : {"src/main.cpp", "src/main.h", "src/deep/Main.CPP", "main.cpp.orig", "\xff.cpp"})
      tree.write(name, "");
    REQUIRE(symlink("src", tree.at("link.cpp").c_str()) == 0);
    auto paths = [&](const std::string& fields) { return joined(lines(file(agent, "search", tree.path(), fields))); };
    CHECK(paths(R"("name":"main.*")") == "main.cpp.orig src/main.cpp src/main.h");
    CHECK(paths(R"("name":"*.cpp","ignoreCase":true)") == "link.cpp src/deep/Main.CPP src/main.cpp ");
    CHECK(paths(R"("name":"*.cpp","depth":1)") == "link.cpp ");
    CHECK(paths(R"("name":{"base64":"/y4q"})") == "");
    CHECK(lines(file(agent, "search", tree.path(), R"("name":{"base64":"/y4q"})")).size() == 1);
    CHECK(paths(R"("name":"main.[ch]*","limit":2)") == "main.cpp.orig src/main.cpp");
    CHECK(file(agent, "search", tree.path(), R"("name":"main.[ch]*","limit":2)").last.boolean("more"));
    CHECK_FALSE(file(agent, "search", tree.path(), R"("name":"main.[ch]*","limit":3)").last.boolean("more"));
    CHECK(file(agent, "search", tree.path()).last.text("field") == "name");
  });
}

TEST_CASE("content is found by text and by expression, a line a match") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("a", "one two\ntwo two\n\nThree\xff two");
    tree.write("b/c", "TWO\r\nnothing\n");
    tree.write("binary", std::string("two\0two", 7));
    tree.write("late", std::string(8192, 'x') + std::string("\0\ntwo", 5));
    tree.write("empty", "");
    auto found = [&](const std::string& fields) {
      std::string text;
      for (const Message& line : lines(file(agent, "search", tree.path(), fields))) {
        text += line.text("path") + ":" + std::to_string(line.number("line")) + ":" +
                std::to_string(line.number("column")) + " ";
      }
      return text;
    };
    CHECK(found(R"("content":"two")") == "a:1:5 a:2:1 a:4:8 late:2:1 ");
    CHECK(found(R"("content":"two","ignoreCase":true)") == "a:1:5 a:2:1 a:4:8 b/c:1:1 late:2:1 ");
    CHECK(found(R"("content":"t(wo|hree)$","regex":true)") == "a:1:5 a:2:5 a:4:8 late:2:1 ");
    CHECK(found(R"~("content":"^t(wo|hree)","regex":true,"ignoreCase":true)~") == "a:2:1 a:4:1 b/c:1:1 late:2:1 ");
    CHECK(found(R"("content":"two","name":"[ab]")") == "a:1:5 a:2:1 a:4:8 ");
    CHECK(found(R"("content":{"base64":"/yB0"})") == "a:4:6 ");
    CHECK(found(R"("content":"two","limit":2)") == "a:1:5 a:2:1 ");
    CHECK(file(agent, "search", tree.path(), R"("content":"two","limit":2)").last.boolean("more"));
    Outcome outcome = file(agent, "search", tree.path(), R"("content":"two")");
    CHECK(outcome.last.number("matches") == 4);
    CHECK(outcome.last.number("files") == 5);
    CHECK(outcome.out.find(R"("text":{"base64":"VGhyZWX/IHR3bw=="})") != std::string::npos);
    for (const char* bad : {R"("content":"(","regex":true)", R"("content":"a\nb")"}) {
      CHECK(file(agent, "search", tree.path(), bad).code() == "bad-pattern");
    }
  });
}

TEST_CASE("matches are found in long lines and across the pieces in which a file is read") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    // One line of 3 MiB with the text over the end of the first piece; then short ones over the second.
    std::string content(3 << 20, 'x');
    content.replace((1 << 20) - 3, 6, "needle");
    content += "\nneedle\n";
    tree.write("long", content);
    std::string many;
    size_t expected = 0;
    for (size_t i = 0; many.size() < (3 << 20); i++) {
      many += std::string(i % 97, '.') + (i % 3 == 0 ? "needle" : "") + "\n";
      expected += i % 3 == 0;
    }
    tree.write("many", many);
    for (const char* fields : {R"("content":"needle")", R"("content":"NEEDLE","ignoreCase":true)"}) {
      Outcome outcome = file(agent, "search", tree.path(), std::string(fields) + R"(,"name":"long")");
      std::vector<Message> found = lines(outcome);
      REQUIRE(found.size() == 2);
      CHECK(found[0].number("line") == 1);
      CHECK(found[0].number("column") == (1 << 20) - 2);
      CHECK(found[0].text("text").size() == 200);
      CHECK(found[0].text("text").find("needle") != std::string::npos);
      CHECK(found[1].number("line") == 2);
      CHECK(found[1].number("column") == 1);
      CHECK(file(agent, "search", tree.path(), std::string(fields) + R"(,"name":"many")").last.number("matches") ==
            expected);
    }
    std::vector<Message> found =
        lines(file(agent, "search", tree.path(), R"("content":"n[e]+dle","regex":true,"name":"many")"));
    REQUIRE(found.size() == expected);
    CHECK(found.back().number("line") ==
          std::stoul(run_command("grep -n needle " + tree.at("many") + " | tail -n 1 | cut -d: -f1")));
    // The context holds no half characters.
    tree.write("umlauts", "\xc3\xa4\xc3\xa4\xc3\xa4needle\xc3\xa4\xc3\xa4\xc3\xa4\n");
    Outcome cut = file(agent, "search", tree.path(), R"("content":"needle","name":"umlauts","contextBytes":9)");
    CHECK(cut.out.find("base64") == std::string::npos);
    CHECK(cut.out.find("needle") != std::string::npos);
    CHECK(lines(file(agent, "search", tree.path(), R"("content":"needle","name":"umlauts","contextBytes":0)"))[0]
              .text("text")
              .empty());
  });
}
