#include "command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

namespace epskew::app {
namespace {

/// Single letters added, left out, changed, or exchanged with their neighbour between `a` and `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

/// How far `known` is from `word`; a part of a name ("tokens" of "num-tokens") is as near as one wrong
/// letter.
std::size_t distance(std::string_view word, std::string_view known) {
  const bool is_part = word.size() >= 4 && known.find(word) != std::string_view::npos;
  return is_part ? 1 : edit_distance(word, known);
}

/// The name nearest to `word`, unless as good as nothing of it is right.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& names) {
  const auto best = std::min_element(names.begin(), names.end(), [&](const auto& a, const auto& b) {
    return std::pair(distance(word, a), a.size()) < std::pair(distance(word, b), b.size());
  });
  if (best == names.end() || distance(word, *best) > word.size() / 3) return std::nullopt;
  return *best;
}

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    flags.insert(flags.end(), option->get_lnames().begin(), option->get_lnames().end());
  }
  return flags;
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    commands.push_back(command->get_name());
  return commands;
}

/// The command that was chosen, else the program.
const CLI::App& meant(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : *chosen.front();
}

std::string full_name(const CLI::App& app) {
  const CLI::App& command = meant(app);
  return &command == &app ? app.get_name() : app.get_name() + " " + command.get_name();
}

/// The first word that nothing takes; a flag before the values that follow it.
std::optional<std::string> unknown_word(const CLI::App& app) {
  for (const CLI::App* command : {&meant(app), &app}) {
    const std::vector<std::string> words = command->remaining();
    const auto flag =
        std::find_if(words.begin(), words.end(), [](const auto& word) { return word.starts_with("-"); });
    if (flag != words.end()) return *flag;
    if (!words.empty()) return words.front();
  }
  return std::nullopt;
}

std::string explain_flag(const CLI::App& app, std::string_view flag, const std::string& help) {
  flag = flag.substr(0, flag.find('='));
  const std::string_view name = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
  const CLI::App& command = meant(app);
  const std::vector<std::string> flags = flags_of(command);
  if (&command != &app && std::find(flags.begin(), flags.end(), name) != flags.end()) {
    return fmt::format("{} stands in the wrong place (it is a flag of {}); write it behind {}, as {}", flag,
                       full_name(app), command.get_name(), help);
  }
  const auto near = nearest(name, flags);
  return fmt::format("{} is unknown ({} has no such flag); {}{}", flag, full_name(app),
                     near ? fmt::format("did you mean --{}? See ", *near) : "see ", help);
}

std::string explain_word(const CLI::App& app, const std::string& word, const std::string& help) {
  if (&meant(app) != &app || commands_of(app).empty()) {
    return fmt::format("'{}' is one word too many ({} takes no such argument); see {}", word, full_name(app),
                       help);
  }
  const auto near = nearest(word, commands_of(app));
  return fmt::format("'{}' is unknown (no such command); {}{}", word,
                     near ? fmt::format("did you mean {}? See ", *near) : "see ", help);
}

/// "Could not convert: --seed = abc", as CLI11 says it, in our words.
std::optional<std::string> explain_value(const CLI::App& command, std::string_view text,
                                         const std::string& help) {
  constexpr std::string_view beginning = "Could not convert: ";
  const std::size_t equals = text.find(" = ");
  if (!text.starts_with(beginning) || equals == std::string_view::npos) return std::nullopt;
  const std::string flag(text.substr(beginning.size(), equals - beginning.size()));
  const CLI::Option* option = command.get_option_no_throw(flag);
  const std::string type = option == nullptr ? "" : option->get_type_name();
  const char* wanted = type.starts_with("INT")    ? "a whole number was expected"
                       : type.starts_with("UINT") ? "a whole number from 0 was expected"
                                                  : "a number was expected";
  return fmt::format("{} {} is not understood ({}); correct it, see {}", flag, text.substr(equals + 3),
                     wanted, help);
}

/// A flag or argument that is missing, lacks its value or is given twice. CLI11's texts begin with its name.
std::optional<std::string> explain_number(std::string_view text, const std::string& command) {
  const std::string_view name = text.substr(0, text.find_first_of(" :"));
  if (text == "A subcommand is required")
    return fmt::format("no command is given (there is nothing to do); see {} --help", command);
  if (text.ends_with(" is required"))
    return fmt::format("{} is missing ({} needs it); give it, see {} --help", name, command, command);
  if (text.ends_with(" missing"))
    return fmt::format("{} has no value (it takes one); give it one, see {} --help", name, command);
  if (text.find(": At Most 1 required") != std::string_view::npos)
    return fmt::format("{} is given more than once (it takes one value); name it once", name);
  return std::nullopt;
}

}  // namespace

std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const std::string command = full_name(app);
  const std::string help = command + " --help";
  if (const auto word = unknown_word(app)) {
    return word->starts_with("-") ? explain_flag(app, *word, help) : explain_word(app, *word, help);
  }
  const std::string text = error.what();
  if (const auto value = explain_value(meant(app), text, help)) return *value;
  if (const auto number = explain_number(text, command)) return *number;
  return fmt::format("{} ({} cannot take that); see {}", text, command, help);
}

}  // namespace epskew::app
