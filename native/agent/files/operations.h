// The operations of a `file` request, each in a file of its own name. They answer what ends the channel: the JSON of
// the ack or, once they have acked themselves, of the exit; or a refusal.
#pragma once
#include <string>

#include "agent/files/outcome.h"
#include "agent/files/request.h"
#include "agent/files/session.h"

namespace plybox {

using Answer = Outcome<std::string>;

Answer run(Session& session, const std::string& path, const StatOp& op);
Answer run(Session& session, const std::string& path, const ReadOp& op);
Answer run(Session& session, const std::string& path, const WriteOp& op);
Answer run(Session& session, const std::string& path, const ListOp& op);
Answer run(Session& session, const std::string& path, const MkdirOp& op);
Answer run(Session& session, const std::string& path, const MoveOp& op);
Answer run(Session& session, const std::string& path, const RemoveOp& op);
Answer run(Session& session, const std::string& path, const ChmodOp& op);
Answer run(Session& session, const std::string& path, const ChownOp& op);
Answer run(Session& session, const std::string& path, const SymlinkOp& op);
Answer run(Session& session, const std::string& path, const SearchOp& op);
Answer run(Session& session, const std::string& path, const WatchOp& op);
Answer run(Session& session, const std::string& path, const TarOutOp& op);
Answer run(Session& session, const std::string& path, const TarInOp& op);

// Serves the whole request.
void serve_file(Session& session, const FileRequest& request);

}  // namespace plybox
