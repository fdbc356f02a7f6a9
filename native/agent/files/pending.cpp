#include "agent/files/operations.h"

namespace plybox {

Answer run(Session&, const std::string&, const SearchOp&) { return Refusal{"bad-request", "not served", "op"}; }
Answer run(Session&, const std::string&, const WatchOp&) { return Refusal{"bad-request", "not served", "op"}; }
Answer run(Session&, const std::string&, const TarOutOp&) { return Refusal{"bad-request", "not served", "op"}; }
Answer run(Session&, const std::string&, const TarInOp&) { return Refusal{"bad-request", "not served", "op"}; }

}  // namespace plybox
