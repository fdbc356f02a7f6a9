#include "agent/files/outcome.h"

#include <cerrno>
#include <cstring>

namespace plybox {

const char* file_error_code(int error) {
  switch (error) {
    case ENOENT:
      return "no-such-file";
    case ENOTDIR:
      return "not-a-directory";
    case EISDIR:
      return "is-a-directory";
    case EEXIST:
      return "file-exists";
    case EACCES:
    case EPERM:
      return "permission-denied";
    case ENOTEMPTY:
      return "not-empty";
    case ELOOP:
      return "too-many-links";
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "no-space";
    case EROFS:
      return "read-only";
    case ENAMETOOLONG:
      return "name-too-long";
    case EXDEV:
      return "cross-device";
    default:
      return "io";
  }
}

Refusal failed(const char* step, const char* field) { return failed(step, errno, field); }

Refusal failed(const char* step, int error, const char* field) {
  return {file_error_code(error), std::string(step) + ": " + std::strerror(error), field, step, error};
}

}  // namespace plybox
