// Declarations without code behind them: enough for silc, which never loads a plugin.
#include "silc/plugin.h"

namespace {

using silc::PluginKind;

constexpr auto kWeight = silc::number_option("weight", 1.0, 0.0, 1000.0, "weight of the distillation loss");
constexpr auto kDistillation =
    silc::choice_option("distillation", "self", "none|ema|self",
                        "none: additional views only; ema: an EMA teacher is kept beside them and evaluated; self: the "
                        "student is distilled from it");
constexpr auto kWidth = silc::integer_option("width", 192, 8, 4096, "of a token");

}  // namespace

#define DECLARE(variable, kind, name, summary, ...)                               \
  extern "C" __attribute__((section("silc_plugins"), used)) const auto variable = \
      silc::declare_plugin(PluginKind::kind, name, "factory_of_" name, 1, summary __VA_OPT__(, ) __VA_ARGS__)

DECLARE(clip, objective, "clip", "CLIP's softmax contrastive loss");
DECLARE(silc_objective, objective, "silc", "contrastive learning with self-distillation", kDistillation, kWeight);
DECLARE(vit, image_backbone, "vit", "vision transformer", kWidth);
DECLARE(transformer, image_backbone, "transformer", "another image backbone");
DECLARE(text_transformer, text_backbone, "text_transformer", "transformer of CLIP's text tower", kWidth);
DECLARE(transformer_of_text, text_backbone, "transformer", "another text backbone");
DECLARE(words, tokenizer, "words", "whole lower-case words");
DECLARE(shapes, dataset, "shapes", "scenes of coloured shapes");
DECLARE(classification, evaluator, "zero_shot_classification", "accuracy of zero-shot classification",
        silc::needs(silc::Need::classes, silc::Need::labels), silc::may_need(silc::Need::several_captions));
