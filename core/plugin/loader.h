// Loading a plugin's library and making its object. Used by silc-engine alone.
#pragma once

#include <memory>

#include "plugin/catalogue.h"
#include "silc/backbone.h"
#include "silc/dataset.h"
#include "silc/evaluator.h"
#include "silc/objective.h"
#include "silc/tokenizer.h"

namespace silc {

// Each loads the library if it is not loaded yet (it stays loaded until the process ends), checks the stamp first, and
// calls the factory. silc::Error from the plugin passes through; any other exception becomes silc::Error naming
// the plugin.
std::shared_ptr<Objective> make_objective(const PluginInfo& plugin, const ObjectiveContext& context);
std::shared_ptr<ImageBackbone> make_image_backbone(const PluginInfo& plugin, const ImageBackboneContext& context);
std::shared_ptr<TextBackbone> make_text_backbone(const PluginInfo& plugin, const TextBackboneContext& context);
std::shared_ptr<Evaluator> make_evaluator(const PluginInfo& plugin, const EvaluatorContext& context);
std::shared_ptr<Dataset> make_dataset(const PluginInfo& plugin, const DatasetContext& context);
std::shared_ptr<Tokenizer> make_tokenizer(const PluginInfo& plugin, const TokenizerContext& context);

}  // namespace silc
