// Verbs that are done by programs of their own, so that a prediction never shares an address space
// with importers (`coracle seal`: coracle-compile) or with tracing (`coracle characterize`:
// coracle-characterize), nor the memory of their code.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "cmd/coracle/verbs.h"
#include "cmd/support/sealed_file.h"

namespace coracle::cmd {
namespace {

struct DelegatedVerb {
  const char* name;
  const char* what;
  const char* program;
};
constexpr DelegatedVerb kVerbs[] = {
    {"seal", "Optimise, pack and encrypt a model (coracle seal --help)", "coracle-compile"},
    {"characterize", "Trace a program or a sealed model: how would it behave in an enclave?",
     "coracle-characterize"},
};

}  // namespace

int RunDelegated(char** argv) {
  for (const DelegatedVerb& verb : kVerbs) {
    if (argv[0] == nullptr || argv[1] == nullptr || std::string_view(argv[1]) != verb.name) {
      continue;
    }
    const std::string path = ProgramFolder() + "/" + verb.program;
    execv(path.c_str(), argv);
    std::fprintf(stderr, "coracle: cannot start %s: %s; it belongs beside coracle\n", path.c_str(),
                 std::strerror(errno));
    return kExitFailed;
  }
  return kExitSuccess;
}

void AddDelegated(CLI::App& app) {
  for (const DelegatedVerb& verb : kVerbs) app.add_subcommand(verb.name, verb.what);
}

}  // namespace coracle::cmd
