// Result<T>: a value, or a closed error code with a message that says what to do.
//
// What the host or a user gives wrongly travels as a Result. A bug of ours is a CORACLE_CHECK
// (base/check.h). Nothing of ours throws.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace coracle {

/// Why an operation was refused or failed. Closed: a caller may switch over it.
enum class Code {
  kInvalidArgument,   ///< A caller's argument or option is wrong.
  kMalformed,         ///< Input bytes do not follow their format.
  kUnsupported,       ///< Well formed, but outside of what Coracle implements.
  kNotFound,          ///< A file, tensor or name does not exist.
  kAlreadyExists,     ///< Refused to overwrite.
  kOutOfBudget,       ///< Needs more secure memory than it was given.
  kTampered,          ///< Authentication failed. Never says which check.
  kPermissionDenied,  ///< The system refused access.
  kUnavailable,       ///< The outside (disk, host) failed to deliver.
  kInternal,          ///< A third party's library failed in a way that it should not.
};

/// The code's stable lower-case name, for logs and JSON ("tampered").
std::string_view CodeName(Code code);

/// An error: the code and one line that names the file, layer or field, and what to do.
struct Error {
  Code code;
  std::string message;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// Requires: ok().
  T& value() & {
    CORACLE_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    CORACLE_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    CORACLE_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// Requires: !ok().
  const Error& error() const& {
    CORACLE_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    CORACLE_CHECK(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  void value() const { CORACLE_CHECK(ok()); }

  /// Requires: !ok().
  const Error& error() const& {
    CORACLE_CHECK(!ok());
    return *error_;
  }
  Error&& error() && {
    CORACLE_CHECK(!ok());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace coracle

#define CORACLE_CONCAT_INNER(a, b) a##b
#define CORACLE_CONCAT(a, b) CORACLE_CONCAT_INNER(a, b)

/// Returns the error of `expr` from the enclosing function; the value is dropped.
#define TRY(expr)                                                       \
  do {                                                                  \
    auto coracle_status = (expr);                                       \
    if (!coracle_status.ok()) return std::move(coracle_status).error(); \
  } while (false)

/// `TRY_ASSIGN(auto x, F())`: x = F()'s value, or returns F()'s error.
#define TRY_ASSIGN(lhs, expr) TRY_ASSIGN_IMPL(CORACLE_CONCAT(coracle_result_, __LINE__), lhs, expr)
#define TRY_ASSIGN_IMPL(result, lhs, expr)            \
  auto result = (expr);                               \
  if (!result.ok()) return std::move(result).error(); \
  lhs = std::move(result).value()
