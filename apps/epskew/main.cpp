#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include "command.hpp"
#include "command_line.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/launcher.hpp"
#include "standard_streams.hpp"
#include "strict_values.hpp"

namespace {

enum ExitCode { ok = 0, failure = 1, usage = 2, wrong_result = 3, rank_lost = 4 };

/// Processes of one job mostly have the same complaint. The first speaks at once, and its exit makes the
/// launcher end the others; one that is still there after a while has a problem of its own and speaks too.
void let_the_first_speak() {
  const auto process = epskew::launched_process();
  if (!process || process->rank == 0) return;
  std::this_thread::sleep_for(std::chrono::milliseconds(1000 + 50 * std::min(process->rank, 40)));
}

int complain(const std::exception& error, ExitCode code) {
  let_the_first_speak();
  std::fprintf(stderr, "epskew: %s\n", error.what());
  return code;
}

int run(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" of CLI11 with exit code 0, which it prints itself.
    if (error.get_exit_code() != 0) {
      let_the_first_speak();
      std::fprintf(stderr, "epskew: %s\n", epskew::app::explain(app, error).c_str());
      return usage;
    }
    app.exit(error);
  }
  epskew::app::require_output();
  return ok;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What load imbalance costs expert-parallel dispatch and combine.", "epskew"};
  app.require_subcommand(1);
  app.set_version_flag("--version", EPSKEW_VERSION);
  epskew::app::add_bench(app, {argv, argv + argc});
  epskew::app::add_fit(app, {argv, argv + argc});
  epskew::app::add_gen(app);
  epskew::app::add_inspect(app);
  epskew::app::add_info(app);
  epskew::app::add_report(app);
  epskew::app::add_compare(app);
  epskew::app::read_whole_numbers_as_they_stand(app);
  try {
    epskew::app::hold_standard_streams();
    epskew::app::refuse_empty_values({argv + 1, argv + argc});
    return run(app, argc, argv);
  } catch (const epskew::UsageError& error) {
    return complain(error, usage);
  } catch (const epskew::WrongResult& error) {
    return complain(error, wrong_result);
  } catch (const epskew::RankLost& error) {
    return complain(error, rank_lost);
  } catch (const epskew::EnvironmentError& error) {
    return complain(error, failure);
  } catch (const std::exception& error) {
    // fmt throws words of its own where standard output takes no more.
    if (std::ferror(stdout) == 0) return complain(error, failure);
    return complain(epskew::EnvironmentError(std::string("writing standard output failed: ") + error.what()),
                    failure);
  }
}
