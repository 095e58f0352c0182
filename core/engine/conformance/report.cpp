#include "engine/conformance/report.h"

namespace silc::conformance {
namespace {

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "passed";
    case Verdict::failed:
      return "failed";
    case Verdict::not_applicable:
      return "not applicable";
  }
  return "";
}

}  // namespace

void Report::add(const std::string& name, const std::string& rule, const Outcome& outcome) {
  emit_({{"check", name},
         {"verdict", verdict_name(outcome.verdict)},
         {"message", outcome.message},
         {"figures", outcome.figures.is_null() ? nlohmann::json::object() : outcome.figures},
         {"rule", rule}});
}

std::string Report::without_title(std::string message) const {
  const std::string title = plugin_title(kind_, name_) + ": ";
  return message.starts_with(title) ? message.substr(title.size()) : message;
}

Outcome check_declaration(const PluginInfo& plugin) {
  if (plugin.summary.empty()) return failed("the declaration has no summary: say in one line what the plugin is");
  std::string silent;
  for (const OptionRecord& option : plugin.options)
    if (option.help[0] == 0) silent += (silent.empty() ? "\"" : ", \"") + std::string(option.name) + "\"";
  if (!silent.empty()) return failed("these options do not say what they are for: " + silent);
  return passed("", {{"options", plugin.options.size()}});
}

}  // namespace silc::conformance
