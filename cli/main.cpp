// silc: reads experiments, starts engines, keeps the registry, prints tables.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <cstdlib>
#include <exception>
#include <memory>

#include "cli/help.h"
#include "cli/session.h"
#include "plugin/similar.h"
#include "silc/error.h"

namespace silc {

namespace {

constexpr int kFailed = 1;
constexpr int kWrongRequest = 2;

void add_common_flags(CLI::App& app, Session& session) {
  app.set_help_flag("-h,--help", "this text; after a command: that command's");
  app.set_version_flag("--version", "silc " SILC_VERSION, "the version");
  app.add_option(
         "--registry", session.registries,
         "the registry, an SQLite file (default: registry.sqlite in the runs folder; environment: SILC_REGISTRY); "
         "report, serve and diff take several")
      ->envname("SILC_REGISTRY")
      ->option_text("FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--runs", session.runs, "where run folders lie (default: runs; environment: SILC_RUNS)")
      ->envname("SILC_RUNS")
      ->option_text("DIR");
  app.add_option("--plugin-path", session.plugin_paths,
                 "a folder with plugins, or one plugin's library; repeatable, the first wins; looked at before "
                 "SILC_PLUGIN_PATH and before silc's own plugins")
      ->option_text("DIR")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--json", session.json, "machine output on stdout, nothing else there");
  app.add_flag("-q,--quiet", session.quiet, "no progress, only warnings and errors");
  app.add_flag("-v,--verbose", session.verbose, "run also names the folder of each cell as it starts");
  app.add_flag("--no-color", session.no_color, "no colours (environment: NO_COLOR)");
}

// SILC_LOG: error or warning: as -q; debug: as -v; the engines read it too.
void apply_log_level(Session& session) {
  const char* named = std::getenv("SILC_LOG");
  const std::string level = named == nullptr ? "" : named;
  if (session.quiet || session.verbose || level.empty() || level == "info") return;
  if (level == "error" || level == "warning")
    session.quiet = true;
  else if (level == "debug")
    session.verbose = true;
  else
    throw Error("SILC_LOG is \"" + level + "\"; it may be error, warning, info or debug");
}

// The command that the user meant as far as it was understood.
const CLI::App& innermost_command(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : innermost_command(*chosen.front());
}

std::string command_name(const CLI::App& command) {
  return command.get_parent() == nullptr ? command.get_name()
                                         : command_name(*command.get_parent()) + " " + command.get_name();
}

std::string explain_extra(const CLI::App& app, const CLI::App& command) {
  std::string extra = app.remaining(true).front();
  if (extra.rfind('-', 0) == 0) {
    extra = extra.substr(0, extra.find('='));
    std::vector<std::string> flags;
    for (const CLI::App* level = &command; level != nullptr; level = level->get_parent())
      for (const CLI::Option* option : level->get_options())
        for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    const std::string meant = most_similar(extra, flags);
    return "there is no flag " + extra + (meant.empty() ? "" : "; did you mean " + meant + "?");
  }
  std::vector<std::string> commands;
  for (const CLI::App* each : command.get_subcommands(nullptr))
    if (!each->get_group().empty()) commands.push_back(each->get_name());
  if (commands.empty()) return "one argument too many: " + extra;
  return "there is no command \"" + extra + "\"" + suggestion(extra, commands);
}

// "EXPERIMENT.toml is missing"
std::string explain_missing(const CLI::App& command) {
  std::string missing;
  for (const CLI::Option* option : command.get_options())
    if (option->get_required() && option->count() == 0)
      missing += (missing.empty() ? "" : " and ") + option->get_option_text();
  return missing + " is missing";
}

int refuse(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = innermost_command(app);
  const std::string name = command_name(command);
  std::string reason = error.what();
  if (!app.remaining(true).empty()) {
    reason = explain_extra(app, command);
  } else if (!command.get_subcommands(nullptr).empty()) {
    reason = "a command is missing";
  } else if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    reason = explain_missing(command);
  }
  complain(reason + " (see " + name + " --help)");
  return kWrongRequest;
}

int run_program(int argc, char** argv) {
  Session session;
  CLI::App app(
      "Trains and compares vision-language models: one file names the rows, one command trains and evaluates "
      "them under the same budget, one prints the table.");
  app.name("silc");
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("silc run experiments/ablation.toml\nsilc report ablation");
  add_common_flags(app, session);
  add_run(app, session);
  add_eval(app, session);
  add_report(app, session);
  add_serve(app, session);
  add_plan(app, session);
  add_status(app, session);
  add_show(app, session);
  add_diff(app, session);
  add_plugin(app, session);
  add_data(app, session);
  add_checkpoint(app, session);
  add_registry(app, session);
  add_doctor(app, session);
  add_completion(app, session);
  add_slurm_task(app, session);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {
    return app.exit(wanted);
  } catch (const CLI::ParseError& error) {
    return refuse(app, error);
  }
  try {
    apply_log_level(session);
    return session.command();
  } catch (const Error& error) {
    complain(error.what());
    return session.started ? kFailed : kWrongRequest;
  } catch (const std::exception& error) {
    complain(std::string("internal error: ") + error.what());
    return kFailed;
  }
}

}  // namespace

}  // namespace silc

int main(int argc, char** argv) { return silc::run_program(argc, argv); }
