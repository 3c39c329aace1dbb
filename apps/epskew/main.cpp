#include <cstdio>
#include <exception>

#include "command.hpp"
#include "epskew/support/error.hpp"

namespace {

enum ExitCode { ok = 0, failure = 1, usage = 2, wrong_result = 3, rank_lost = 4 };

int complain(const std::exception& error, ExitCode code) {
  std::fprintf(stderr, "epskew: %s\n", error.what());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What load imbalance costs expert-parallel dispatch and combine.", "epskew"};
  app.require_subcommand(1);
  app.set_version_flag("--version", EPSKEW_VERSION);
  epskew::app::add_info(app);
  try {
    app.parse(argc, argv);
    return ok;
  } catch (const CLI::ParseError& error) {
    // CLI11 prints help, version and the problem itself; only its exit codes are its own.
    return app.exit(error) == 0 ? ok : usage;
  } catch (const epskew::UsageError& error) {
    return complain(error, usage);
  } catch (const epskew::WrongResult& error) {
    return complain(error, wrong_result);
  } catch (const epskew::RankLost& error) {
    return complain(error, rank_lost);
  } catch (const std::exception& error) {
    return complain(error, failure);
  }
}
