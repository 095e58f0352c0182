// What the tests of experiment files share.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "spec/experiment.h"
#include "tests/files/temporary_folder.h"

namespace silc {

inline const Catalogue& fake_catalogue() {
  static const std::filesystem::path folders[] = {std::filesystem::path(SILC_BINARY_DIR) / "tests/libraries/fakes"};
  static const Catalogue catalogue = Catalogue::scan(folders);
  return catalogue;
}

// Reads experiments from texts.
class SpecTest : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) {
    const std::filesystem::path file = folder_ / "experiment.toml";
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

  Experiment read(const std::string& text, ExperimentRequest request = {}) {
    request.file = write(text);
    return read_experiment(request, fake_catalogue());
  }

  // Messages of all faults, without places, one a line.
  std::string faults(const std::string& text, ExperimentRequest request = {}) {
    try {
      read(text, std::move(request));
    } catch (const SpecError& error) {
      std::string messages;
      for (const Diagnostic& fault : error.diagnostics()) messages += (messages.empty() ? "" : "\n") + fault.message;
      return messages;
    }
    return "";
  }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
};

// The least that an experiment needs.
inline const std::string kHead = R"([experiment]
name = "test"

[budget]
examples = 40_000

[data]
train = "fashion_scenes"
)";

inline const std::string kOneRow = kHead + R"(
[[row]]
name = "CLIP"
objective = "clip"
)";

// Uses everything that the format has.
inline const std::string kFull = R"(# An experiment with all there is.
[experiment]
name  = "ablation"
title = "Which component of SILC helps?"
seeds = [0, 1, 2]

[budget]
examples = 40_000

[data]
train = { dataset = "fashion_scenes", split = "train", pictures = 500 }

[model]
image = { backbone = "vit", width = 192, layers = 6, heads = 3, patch = 8, image_size = 64 }
text  = { backbone = "text_transformer", width = 128, layers = 4, heads = 4, context_length = 16, tokenizer = "bytes" }
embed_dim = 128

[optimizer]
name = "adamw"
lr = 1e-3
batch = 64
warmup = 0.1

[engine]
precision = "bf16"
log_every = 5

[evaluation]
weights = ["student"]

[[evaluate]]
evaluator = "zero_shot_classification"
dataset = "fashion_scenes"

[[evaluate]]
evaluator = { name = "zero_shot_classification", templates = ["{}"] }
dataset = { dataset = "shapes" }
split = "validation"
name = "on_shapes"

[[row]]
name = "CLIP"
objective = "clip"

[[row]]
name = "+ additional views"
base = "CLIP"
objective = { name = "silc", distillation = "none", local_area = [0.1, 0.3] }

[[row]]
name = "SILC"
base = "+ additional views"
objective.distillation = "mse"
model.image.width = 96
evaluation.weights = ["teacher", "student"]
budget.flops = 2e13

[matrix]
"optimizer.lr" = [1e-3, 3e-4]

[[table]]
name = "components"
baseline = "CLIP"
columns = ["zero_shot_classification/acc1", "on_shapes/acc1@teacher", "cost/flops"]
)";

// A row in two phases, and one that starts from a row.
inline const std::string kPhases = kHead + R"(
[[row]]
name = "CLIP"
objective = "clip"

[[row]]
name = "SILC*"
objective = { name = "silc", distillation = "mse" }
[[row.phase]]
name = "pretraining"
[[row.phase]]
budget.examples = 10_000
optimizer.lr = 1e-4
data.train.pictures = 100

[[row]]
name = "late SILC"
base = "SILC*"
[[row.phase]]
row = "CLIP"
[[row.phase]]
budget.examples = 8_000
)";

}  // namespace silc
