// Why a request is refused: the payload of an `error` frame.
#pragma once
#include <string>
#include <utility>

#include "common/json.h"
#include "common/result.h"

namespace plybox {

struct Refusal {
  const char* code;  // stable: "not-found", "bad-request" …
  std::string message;
  std::string field = {};  // dotted path of the field at fault, or ""
  const char* step = "";   // the step that failed, or ""
  int error = 0;           // its errno, or 0

  static Refusal bad_request(const JsonProblem& problem) {
    return {"bad-request",
            problem.field.empty() ? "the payload " + problem.message : problem.field + " " + problem.message,
            problem.field};
  }
  static Refusal failed(const char* code, std::string message, Failure failure) {
    return {code, std::move(message), "", failure.step, failure.error};
  }
};

std::string to_json(const Refusal& refusal);

}  // namespace plybox
