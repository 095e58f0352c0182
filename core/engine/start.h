// What a cell begins with, where its weights are not drawn at random: what the phase before it learnt, or files.
#pragma once

#include <torch/nn/module.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "files/run_folder.h"
#include "files/safetensors.h"
#include "silc/model.h"
#include "spec/cell.h"

namespace silc {

// Weights by silc's names for them, "model.image.projection".
class StartWeights {
 public:
  virtual ~StartWeights() = default;

  [[nodiscard]] const std::map<std::string, std::vector<int64_t>>& shapes() const { return shapes_; }

  // Copies one into `target`, which may be on any device. Throws silc::Error naming it where it is not there, or is of
  // another shape; position embeddings of a file are resampled to another grid.
  virtual void copy(const std::string& name, at::Tensor target) const = 0;

  // "the phase before", "ViT-B-16.safetensors"
  [[nodiscard]] virtual std::string title() const = 0;

  // Whether the model's text tower, and its projections, are in it. Files of picture models have none.
  [[nodiscard]] bool has_text() const;

 protected:
  std::map<std::string, std::vector<int64_t>> shapes_;
};

// The last checkpoint of the phase that `cell` starts from, or its files; null if there are none. `folder`: of the
// cell. Throws silc::Error that names the file and the remedy if it is missing, damaged, changed or of another cell.
std::unique_ptr<const StartWeights> open_start(const ResolvedCell& cell, const RunFolder& folder);

// Those of a checkpoint of silc.
std::unique_ptr<const StartWeights> weights_of(SafetensorsFile checkpoint);

// Those of files, each with its share.
std::unique_ptr<const StartWeights> weights_of(const std::vector<StartFile>& files);

// The model's parameters and buffers. Before an objective is built on the model, which may copy its weights. Of a
// picture model's file the image tower's backbone alone.
void start_model(const StartWeights& start, DualEncoder& model);

// An objective with exactly the tensors that the one before had, by name and shape, goes on with all of them: heads,
// teacher, centre, temperature. Another one begins anew, but for the learnt temperature and bias of its contrastive
// loss, which belong to the weights that they were learnt with. Extra parts that the objective gave the model count as
// its own.
void start_objective(const StartWeights& start, const DualEncoder& model, const torch::nn::Module& objective);

}  // namespace silc
