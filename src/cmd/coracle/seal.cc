// `coracle seal` is done by coracle-compile, so that the importers never share an address space
// with a prediction.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "cmd/coracle/verbs.h"
#include "cmd/support/sealed_file.h"

namespace coracle::cmd {

void AddSeal(CLI::App& app, char** argv) {
  CLI::App* const verb =
      app.add_subcommand("seal", "Optimise, pack and encrypt a model (coracle seal --help)");
  verb->set_help_flag();
  verb->prefix_command();
  verb->callback([argv] {
    const std::string program = ProgramFolder() + "/coracle-compile";
    execv(program.c_str(), argv);
    std::fprintf(stderr, "coracle: cannot start %s: %s; it belongs beside coracle\n",
                 program.c_str(), std::strerror(errno));
    throw CLI::RuntimeError(kExitFailed);
  });
}

}  // namespace coracle::cmd
