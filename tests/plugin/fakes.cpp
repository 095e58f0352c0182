// Declarations of plugins with the names and options of real ones, for tests that read experiment files: nothing in
// here can be run.
#include "silc/plugin.h"

namespace {

struct Nothing {
  explicit Nothing(int) {}
};

constexpr auto kWeight = silc::number_option("distillation_weight", 1.0, 0.0, 10.0, "weight of self-distillation");
constexpr auto kDistillation = silc::choice_option("distillation", "dino", "none|dino|mse", "which self-distillation");
constexpr auto kLocalViews = silc::integer_option("local_views", 6, 0, 32, "local crops per picture");
constexpr auto kLocalArea = silc::pair_option("local_area", 0.05, 0.4, 0.0, 1.0, "area of local crops");
constexpr auto kNormalize = silc::boolean_option("normalize_head", true, "normalise the last layer");
constexpr auto kNote = silc::text_option("note", "", "any text");
constexpr auto kScript = silc::required_file_option("file", "what it is made of");
constexpr auto kWeights = silc::file_option("weights", "what it starts from");
constexpr auto kTemperature = silc::number_option("temperature", 0.07, 1e-3, 1.0, "initial temperature");

constexpr auto kWidth = silc::integer_option("width", 192, 8, 4096, "embedding width");
constexpr auto kLayers = silc::integer_option("layers", 6, 1, 64, "transformer blocks");
constexpr auto kHeads = silc::integer_option("heads", 3, 1, 64, "attention heads");
constexpr auto kPatch = silc::integer_option("patch", 8, 1, 64, "side of a patch in pixels");

constexpr auto kVocabulary = silc::integer_option("vocabulary", 2048, 8, 1 << 20, "greatest vocabulary");
constexpr auto kTemplates = silc::texts_option("templates", "a photo of a {}|a {}", "prompts");
constexpr auto kScenes = silc::integer_option("pictures", 1000, 1, 1 << 30, "pictures of the split");

}  // namespace

SILC_PLUGIN(objective, Nothing, int, clip, Nothing, 1, "contrastive loss", kTemperature);
SILC_PLUGIN(objective, Nothing, int, siglip, Nothing, 1, "pairwise sigmoid loss");
SILC_PLUGIN(objective, Nothing, int, silc, Nothing, 3, "contrastive loss and self-distillation", kWeight, kDistillation,
            kLocalViews, kLocalArea, kNormalize, kNote);
SILC_PLUGIN(objective, Nothing, int, scripted, Nothing, 1, "what a file says", kScript);
SILC_PLUGIN(image_backbone, Nothing, int, vit, Nothing, 1, "vision transformer", kWidth, kLayers, kHeads, kPatch);
SILC_PLUGIN(image_backbone, Nothing, int, convnet, Nothing, 1, "convolutions", kWidth, kWeights);
SILC_PLUGIN(text_backbone, Nothing, int, text_transformer, Nothing, 1, "text transformer", kWidth, kLayers, kHeads);
SILC_PLUGIN(tokenizer, Nothing, int, words, Nothing, 1, "words of the captions", kVocabulary);
SILC_PLUGIN(tokenizer, Nothing, int, bytes, Nothing, 1, "bytes");
SILC_PLUGIN(dataset, Nothing, int, fashion_scenes, Nothing, 2, "scenes of garments", kScenes,
            silc::split("train", "old garments"), silc::split("test", "new garments"));
SILC_PLUGIN(dataset, Nothing, int, shapes, Nothing, 1, "coloured shapes");
SILC_PLUGIN(evaluator, Nothing, int, zero_shot_classification, Nothing, 1, "acc1", kTemplates);
SILC_PLUGIN(evaluator, Nothing, int, zero_shot_segmentation, Nothing, 1, "miou",
            silc::needs(silc::Need::classes, silc::Need::masks), silc::may_need(silc::Need::several_captions));
