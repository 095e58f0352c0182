#include "engine/conformance/conformance.h"

#include <string>

#include "engine/conformance/small_options.h"

namespace silc::conformance {
namespace {

using Checks = void(const Subject& subject, Report& report);

Checks& checks_of(PluginKind kind) {
  switch (kind) {
    case PluginKind::objective:
      return check_objective;
    case PluginKind::image_backbone:
      return check_image_backbone;
    case PluginKind::text_backbone:
      return check_text_backbone;
    case PluginKind::evaluator:
      return check_evaluator;
    case PluginKind::dataset:
      return check_dataset;
    case PluginKind::tokenizer:
      return check_tokenizer;
  }
  throw Error("there are no checks for this kind of plugin");
}

// The first option that must name a file or folder and does not; empty if there is none.
std::string missing_file(const PluginInfo& plugin, const Options& options) {
  for (const OptionRecord& option : plugin.options)
    if ((option.type == OptionType::file || option.type == OptionType::folder) && option.minimum == 1 &&
        std::get<std::string>(options.values().at(option.name)).empty())
      return option.name;
  return "";
}

}  // namespace

void check_plugin(const PluginInfo& plugin, const nlohmann::json& chosen, const Emit& emit) {
  const Options options = small_options(plugin, chosen);
  const Options full = full_options(plugin, chosen);
  emit({{"plugin", plugin.name},
        {"kind", kind_name(plugin.kind)},
        {"version", plugin.version},
        {"library", plugin.library.string()},
        {"options", changed_options(plugin, options)}});
  Report report(plugin, emit);
  const Subject subject{.plugin = plugin, .options = options, .full = full};
  report.check("declaration", "options.h: help says what an option is for", [&] { return check_declaration(plugin); });
  if (const std::string option = missing_file(plugin, options); !option.empty())
    report.check("files", "options.h: required_file_option() and required_folder_option()",
                 [&] { return not_applicable("it needs files: --option " + option + "=PATH"); });
  else
    checks_of(plugin.kind)(subject, report);
  emit({{"done", true}});
}

}  // namespace silc::conformance
