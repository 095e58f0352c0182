// silc-engine check: does a plugin keep the promises of its interface?
//
// Each kind has a file of checks; practice.h says what they are made with. The checks run in the process that calls:
// a plugin that crashes takes it along, so `silc plugin check` gives each plugin an engine of its own.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/conformance/report.h"

namespace silc::conformance {

// Runs all checks of the plugin's kind. `chosen`: options that are not to be as small_options.h makes them. The first
// line is {"plugin": NAME, "kind", "version", "library", "options" (those that are not the defaults)}, the last one
// {"done": true}. Throws silc::Error for options that the plugin does not have.
void check_plugin(const PluginInfo& plugin, const nlohmann::json& chosen, const Emit& emit);

// What the checks of one plugin are given.
struct Subject {
  const PluginInfo& plugin;
  const Options& options;  // small ones
  const Options& full;     // the defaults, with what was chosen
};

void check_objective(const Subject& subject, Report& report);
void check_image_backbone(const Subject& subject, Report& report);
void check_text_backbone(const Subject& subject, Report& report);
void check_evaluator(const Subject& subject, Report& report);
void check_dataset(const Subject& subject, Report& report);
void check_tokenizer(const Subject& subject, Report& report);

}  // namespace silc::conformance
