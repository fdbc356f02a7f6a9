#include "agent/files/operations.h"

namespace plybox {

void serve_file(Session& session, const FileRequest& request) {
  Answer answer = std::visit([&](const auto& op) { return run(session, request.path, op); }, request.op);
  if (answer) return session.finish(*answer);
  session.refuse(answer.refusal());
}

}  // namespace plybox
