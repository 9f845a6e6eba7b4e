#include "characterize/program/function_name.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace coracle::characterize {
namespace {

constexpr std::string_view kAnonymous = "(anonymous namespace)";
constexpr std::string_view kOperator = "operator";
constexpr std::string_view kSigns = "<>=!+-*/%^&|~,[]";

bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// How far "operator<<" and its like reach, if `name` has one at `at`: their signs are no brackets.
size_t OperatorEnd(std::string_view name, size_t at) {
  if (name.substr(at, kOperator.size()) != kOperator || (at > 0 && IsLetter(name[at - 1]))) {
    return at;
  }
  size_t end = at + kOperator.size();
  if (end < name.size() && IsLetter(name[end])) return at;
  if (name.substr(end, 2) == "()") return end + 2;
  // "operator< <int>" is a template: the blank ends it. "operator new", "operator bool" go on.
  while (end < name.size() && kSigns.find(name[end]) != std::string_view::npos) ++end;
  if (end == at + kOperator.size() && end < name.size() && name[end] == ' ') ++end;
  return end;
}

/// Without the type in front that functions made from templates have, and without parameters.
std::string_view NameAlone(std::string_view text) {
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i < text.size();) {
    if (text.substr(i, kAnonymous.size()) == kAnonymous) {
      i += kAnonymous.size();
      continue;
    }
    if (const size_t end = OperatorEnd(text, i); end != i) {
      i = end;
      continue;
    }
    const char c = text[i];
    if (c == '<' || c == '[' || c == '{') ++depth;
    if (c == '>' || c == ']' || c == '}') --depth;
    if (depth == 0 && c == '(' && i > begin) return text.substr(begin, i - begin);
    ++i;
    if (depth == 0 && c == ' ') begin = i;
  }
  return text.substr(begin);
}

std::string WithoutTemplateArguments(std::string_view name) {
  std::string out;
  int depth = 0;
  for (size_t i = 0; i < name.size();) {
    if (const size_t end = OperatorEnd(name, i); end != i) {
      if (depth == 0) out += name.substr(i, end - i);
      i = end;
      continue;
    }
    const char c = name[i++];
    if (c == '<' && depth++ == 0) out += "<...>";
    if (depth == 0) out += c;
    if (c == '>') --depth;
  }
  return out;
}

}  // namespace

std::string ReadableFunctionName(const std::string& symbol) {
  std::string name = symbol;
  if (symbol.rfind("_Z", 0) == 0) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> text(
        abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
    if (text != nullptr && status == 0) {
      name = NameAlone(text.get());
      if (name.size() > kFunctionNameCharactersMax) name = WithoutTemplateArguments(name);
    }
  }
  if (name.size() > kFunctionNameCharactersMax) {
    name.resize(kFunctionNameCharactersMax - 3);
    name += "...";
  }
  return name;
}

}  // namespace coracle::characterize
