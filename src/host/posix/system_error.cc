#include "host/posix/system_error.h"

#include <cerrno>
#include <system_error>

namespace coracle::host {
namespace {

Code CodeFor(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return Code::kNotFound;
    case EEXIST:
      return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermissionDenied;
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return Code::kInvalidArgument;
    default:
      return Code::kUnavailable;
  }
}

std::string Reason(int error_number) {
  switch (error_number) {
    case ENOENT:
      return "it does not exist";
    case ENOTDIR:
      return "a part of its path is not a directory";
    case EEXIST:
      return "it exists already";
    case EACCES:
    case EPERM:
      return "permission denied";
    case EISDIR:
      return "it is a directory";
    case ENOSPC:
      return "no space is left on the device";
    default:
      return std::generic_category().message(error_number);
  }
}

}  // namespace

Error SystemError(std::string_view verb, std::string_view path, int error_number) {
  return {CodeFor(error_number),
          "cannot " + std::string(verb) + " '" + std::string(path) + "': " + Reason(error_number)};
}

}  // namespace coracle::host
