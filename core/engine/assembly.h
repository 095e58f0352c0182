// From a resolved cell to the objects that it names.
#pragma once

#include <c10/core/Device.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "engine/start.h"
#include "plugin/catalogue.h"
#include "silc/dataset.h"
#include "silc/objective.h"
#include "silc/tokenizer.h"
#include "spec/cell.h"

namespace silc {

// What is trained.
struct Assembly {
  at::Device device = at::kCPU;
  std::shared_ptr<Dataset> dataset;  // null where nothing is trained
  std::shared_ptr<Tokenizer> tokenizer;
  std::shared_ptr<DualEncoder> model;
  std::shared_ptr<Objective> objective;
};

// "auto": the first CUDA device if LibTorch has one. Throws silc::Error for a device that is not there.
at::Device parse_device(const std::string& name);

// Threads, and algorithms that give the same bits each time. Once, before any tensor is made.
void prepare_torch(int64_t threads, const at::Device& device);

// Loads a data source. Throws silc::Error if its data are no longer those that the cell was planned with.
std::shared_ptr<Dataset> load_dataset(const DataSource& source, const Catalogue& catalogue);

// The parts of a model, as assemble() makes them; what goes wrong is the plugin's failure. `captions`: the dataset from
// whose captions the tokenizer learns its vocabulary, which `source` names; null: there are none.
std::shared_ptr<Tokenizer> load_tokenizer(const PluginChoice& choice, const Catalogue& catalogue,
                                          const DataSource& source, const std::shared_ptr<Dataset>& captions);
std::shared_ptr<ImageTower> build_image_tower(const ResolvedCell& cell, const Catalogue& catalogue);
std::shared_ptr<TextTower> build_text_tower(const ResolvedCell& cell, const Catalogue& catalogue,
                                            const Tokenizer& tokenizer);

// The objective of an assembly that has all the rest.
std::shared_ptr<Objective> build_objective(const ResolvedCell& cell, const Catalogue& catalogue,
                                           const Assembly& assembly);

// Throws silc::Error for teacher weights that are to be evaluated where the objective keeps no teacher.
void check_weights(const ResolvedCell& cell, const Objective& objective);

// Loads the plugins and builds the model from the cell's seed. The dual encoder is built first, so that rows which
// share an architecture start from the same weights whatever their objectives draw. `start`: what open_start found;
// null for weights drawn at random. Throws silc::Error for teacher weights that are to be evaluated where the objective
// keeps no teacher.
Assembly assemble(const ResolvedCell& cell, const Catalogue& catalogue, const StartWeights* start = nullptr);

// The same on another device than the cell names. On the "meta" device, while a ShapesOnly (engine/shapes_only.h)
// lives, the model has shapes and no values.
Assembly assemble_on(const at::Device& device, const ResolvedCell& cell, const Catalogue& catalogue,
                     const StartWeights* start = nullptr);

// Puts a module on the device, in the layout that it likes best.
void place(torch::nn::Module& module, const at::Device& device);

}  // namespace silc
