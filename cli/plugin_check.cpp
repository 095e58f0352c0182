// silc plugin check: does a plugin keep the promises of its interface?
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/option_arguments.h"
#include "cli/plugin_commands.h"
#include "cli/text.h"
#include "files/run_folder.h"
#include "plugin/option_values.h"
#include "plugin/similar.h"
#include "schedule/engine_process.h"
#include "silc/error.h"
#include "text/display.h"

namespace silc {

namespace {

namespace fs = std::filesystem;

constexpr size_t kWidth = 110;
constexpr size_t kIndent = 28;

struct CheckOptions {
  std::string subject;
  std::vector<std::string> options;  // KEY=VALUE
  int64_t threads = 1;
  double timeout = 300;
};

struct Result {
  std::string name;
  std::string verdict;  // "passed", "failed", "not applicable"
  std::string message;
  std::string rule;
  nlohmann::ordered_json figures = nlohmann::ordered_json::object();
};

// The plugins of a library, or those of that name.
std::vector<PluginInfo> find_subjects(const Session& session, const std::string& subject) {
  const size_t slash = subject.find('/');
  const bool is_file = fs::path(subject).extension() == ".so" || (slash != std::string::npos && fs::exists(subject));
  if (is_file) return read_plugins(subject);
  const Catalogue catalogue = session.catalogue();
  const std::string kind = slash == std::string::npos ? "" : subject.substr(0, slash);
  const std::string name = slash == std::string::npos ? subject : subject.substr(slash + 1);
  std::vector<PluginInfo> found;
  std::vector<std::string> known;
  for (const PluginInfo& plugin : catalogue.plugins()) {
    known.push_back(plugin.name);
    if (plugin.name == name && (kind.empty() || kind == kind_word(plugin.kind))) found.push_back(plugin);
  }
  if (!found.empty()) return found;
  std::string refused;
  for (const RefusedLibrary& library : catalogue.refused()) refused += "\n  not used: " + library.reason;
  const std::string meant = most_similar(name, known);
  throw Error("there is no file and no plugin \"" + subject + "\"; " +
              (meant.empty() ? "silc plugin list shows all" : "did you mean \"" + meant + "\"?") + refused);
}

std::string words_of(const nlohmann::ordered_json& figures) {
  std::string words;
  for (const auto& [key, value] : figures.items()) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', ' ');
    if (!words.empty()) words += ", ";
    words += name + " " +
             (value.is_string()         ? value.get<std::string>()
              : value.is_number_float() ? format_number(value.get<double>())
                                        : value.dump());
  }
  return words;
}

std::string text_of(const Result& result) {
  const std::string verdict = result.verdict == "passed" ? "ok" : result.verdict == "failed" ? "FAILED" : "n/a";
  std::string text = result.message;
  if (const std::string figures = words_of(result.figures); !figures.empty())
    text += (text.empty() ? "" : "\n") + figures;
  if (result.verdict == "failed") text += "\nrule: " + result.rule;
  std::string lines = text.empty() ? "\n" : paragraph(text, kWidth, kIndent);
  // The first line shares its line with verdict and name.
  const std::string head = fmt::format("  {:<7} {:<17}", verdict, result.name);
  const size_t begin = std::min(lines.find_first_not_of(' '), lines.size());
  return fmt::format("{:<{}}{}", head, text.empty() ? head.size() : kIndent, lines.substr(begin));
}

// Takes the lines of the engine's report as they come.
class Reader {
 public:
  explicit Reader(bool print_results) : prints_(print_results) {}

  void take(std::string_view piece) {
    rest_ += piece;
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      take_line(nlohmann::ordered_json::parse(rest_.substr(0, end), nullptr, false));
      rest_.erase(0, end + 1);
    }
  }

  // What became of an engine that did not come to the end.
  void end(const EngineAnswer& answer, double timeout) {
    if (done_) return;
    std::string message;
    if (answer.gave_up)
      message = fmt::format("no answer for {:.4g} s: does it loop for ever? --timeout allows longer", timeout);
    else if (answer.end.signal != 0)
      message = "the engine was killed by " + signal_name(answer.end.signal) +
                (answer.errors.find("its stack overflowed") == std::string::npos
                     ? ""
                     : ": its stack overflowed; endless recursion?");
    else
      message = fmt::format("the engine exited with code {} in the middle of it: a plugin must not end the process",
                            answer.end.exit_code);
    add({begun_.empty() ? "loads" : begun_, "failed", message, "a plugin leaves the process alone"});
  }

  [[nodiscard]] bool has_begun() const { return begun_any_; }
  [[nodiscard]] const nlohmann::ordered_json& plugin() const { return plugin_; }
  [[nodiscard]] const std::vector<Result>& results() const { return results_; }

 private:
  void take_line(const nlohmann::ordered_json& line) {
    if (!line.is_object()) return;  // something that the plugin printed
    if (line.contains("plugin")) {
      plugin_ = line;
      begun_any_ = true;
      if (prints_) print(head());
    } else if (line.contains("begin")) {
      begun_ = line["begin"];
    } else if (line.contains("check")) {
      add({line["check"], line["verdict"], line["message"], line["rule"], line["figures"]});
      begun_.clear();
    } else if (line.contains("done")) {
      done_ = true;
    }
  }

  [[nodiscard]] std::string head() const {
    std::string text = fmt::format("{} {}, version {} ({})\n", plugin_["kind"].get<std::string>(),
                                   plugin_["plugin"].get<std::string>(), plugin_["version"].get<int64_t>(),
                                   plugin_["library"].get<std::string>());
    std::string options;
    for (const auto& [name, value] : plugin_["options"].items())
      options += (options.empty() ? "" : ", ") + name + " = " + value.dump();
    if (!options.empty()) text += paragraph("with " + options, kWidth, 2);
    return text;
  }

  void add(Result result) {
    if (prints_) print(text_of(result));
    results_.push_back(std::move(result));
  }

  bool prints_;
  bool done_ = false;
  bool begun_any_ = false;
  std::string begun_;
  std::string rest_;
  nlohmann::ordered_json plugin_;
  std::vector<Result> results_;
};

size_t count_of(const std::vector<Result>& results, std::string_view verdict) {
  return static_cast<size_t>(
      std::count_if(results.begin(), results.end(), [&](const Result& result) { return result.verdict == verdict; }));
}

nlohmann::ordered_json to_json(const PluginInfo& plugin, const Reader& reader) {
  auto checks = nlohmann::ordered_json::array();
  for (const Result& result : reader.results())
    checks.push_back({{"name", result.name},
                      {"verdict", result.verdict},
                      {"message", result.message},
                      {"figures", result.figures},
                      {"rule", result.rule}});
  return {{"kind", kind_word(plugin.kind)},
          {"name", plugin.name},
          {"version", plugin.version},
          {"library", plugin.library.string()},
          {"options", reader.plugin().value("options", nlohmann::ordered_json::object())},
          {"passed", count_of(reader.results(), "failed") == 0},
          {"checks", checks}};
}

int check(Session& session, const CheckOptions& options) {
  const std::vector<PluginInfo> plugins = find_subjects(session, options.subject);
  check_options(plugins, options.options);
  std::vector<nlohmann::json> chosen;
  for (const PluginInfo& plugin : plugins) chosen.push_back(chosen_options(plugin, options.options));
  const Engine engine{find_engine(), {}};
  session.started = true;
  bool all_passed = true;
  auto described = nlohmann::ordered_json::array();
  for (size_t i = 0; i < plugins.size(); ++i) {
    const PluginInfo& plugin = plugins[i];
    if (!session.json && i > 0) print("\n");
    Reader reader(!session.json);
    const EngineAnswer answer = run_engine(
        engine,
        {"check", "--library", plugin.library.string(), "--kind", std::string(kind_name(plugin.kind)), "--name",
         plugin.name, "--options", chosen[i].dump(), "--threads", std::to_string(options.threads)},
        {}, [&](std::string_view piece) { reader.take(piece); }, options.timeout);
    if (!reader.has_begun() && answer.end.signal == 0 && !answer.gave_up && !answer.errors.empty())
      throw Error(answer.errors.substr(0, answer.errors.find_last_not_of('\n') + 1));
    reader.end(answer, options.timeout);
    const size_t failed = count_of(reader.results(), "failed");
    all_passed = all_passed && failed == 0;
    described.push_back(to_json(plugin, reader));
    if (session.json) continue;
    const auto passed = static_cast<int64_t>(count_of(reader.results(), "passed"));
    print(failed == 0 ? fmt::format("{} passed\n", count(passed, "check"))
                      : fmt::format("{} failed, {} passed\n", count(static_cast<int64_t>(failed), "check"), passed));
  }
  if (session.json) print_json({{"passed", all_passed}, {"plugins", described}});
  return all_passed ? 0 : 1;
}

}  // namespace

void add_plugin_check(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand(
      "check",
      "check that plugins keep the promises of their interface\n\nPATH is a library, all of whose plugins are checked; "
      "NAME is a plugin's name, or KIND/NAME. An objective, for one, must give the same bits twice and when it goes on "
      "from a checkpoint, have gradients that agree with finite differences, train every parameter, stay finite, run "
      "with small batches and in bf16, and leave no memory behind. Each plugin is loaded into a process of its own, "
      "with small models and data of silc's own, and with its options made small: width, layers, prototypes and other "
      "whole numbers above 256. Exit code 1: a check failed; 2: there is nothing that can be checked.");
  command->footer(
      "silc plugin check build/my_plugins/focal_clip.so\nsilc plugin check silc --option prototypes=1024\nsilc plugin "
      "check image-backbone/vit --option stem=conv --json");
  const auto options = std::make_shared<CheckOptions>();
  command->add_option("subject", options->subject, "a plugin's library, or its name")
      ->option_text("PATH|NAME")
      ->type_name("plugin")
      ->required();
  command
      ->add_option("--option", options->options,
                   "a value of an option, as in an experiment file; repeatable; for those plugins that have the option")
      ->option_text("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--threads", options->threads, "threads of LibTorch (default: 1)")
      ->option_text("N")
      ->check(CLI::PositiveNumber);
  command->add_option("--timeout", options->timeout, "seconds that a check may take (default: 300; 0: any time)")
      ->option_text("SECONDS")
      ->check(CLI::NonNegativeNumber);
  command->callback(
      [options, &session] { session.command = [options, &session] { return check(session, *options); }; });
}

}  // namespace silc
