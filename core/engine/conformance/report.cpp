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

Outcome check_needs(const PluginInfo& plugin, const std::function<void(uint32_t lacking)>& work) {
  constexpr uint32_t kAll = (1u << kNeedCount) - 1;
  const uint32_t declared = plugin.needs.needed | plugin.needs.optional;
  uint32_t lacking = kAll & ~declared;
  // Labels, masks and boxes mean nothing without classes.
  if ((declared & detail::need_bits(Need::labels, Need::masks, Need::boxes)) != 0)
    lacking &= ~detail::need_bits(Need::classes);
  const auto fault_without = [&](uint32_t needs) -> std::string {
    try {
      work(needs);
      return "";
    } catch (const std::exception& error) {
      return one_line(error);
    }
  };
  const std::string fault = fault_without(lacking);
  if (fault.empty()) return passed("", {{"not_needed", needs_in(lacking).size()}});
  for (const Need need : needs_in(lacking))
    if (const std::string own = fault_without(detail::need_bits(need)); !own.empty())
      return failed("it does not work without " + std::string(need_name(need)) +
                    ", and declares neither silc::needs(silc::Need::" + std::string(need_key(need)) +
                    ") nor silc::may_need(…): " + own);
  return failed("it does not work where data and model have nothing that it has not declared to need: " + fault);
}

}  // namespace silc::conformance
