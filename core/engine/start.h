// Training in phases: how a cell begins with what the phase before it learnt.
#pragma once

#include <torch/nn/module.h>
#include <memory>

#include "files/run_folder.h"
#include "files/safetensors.h"
#include "silc/model.h"
#include "spec/cell.h"

namespace silc {

// The last checkpoint of the phase that `cell` starts from; null if there is no such phase. `folder`: of the cell.
// Throws silc::Error that names the file and the remedy if it is missing, damaged or of another cell.
std::unique_ptr<const SafetensorsFile> open_start(const ResolvedCell& cell, const RunFolder& folder);

// The model's parameters and buffers. Before an objective is built on the model, which may copy its weights.
void start_model(const SafetensorsFile& start, DualEncoder& model);

// An objective with exactly the tensors that the one before had, by name and shape, goes on with all of them: heads,
// teacher, centre, temperature. Another one begins anew, but for the learnt temperature and bias of its contrastive
// loss, which belong to the weights that they were learnt with. Extra parts that the objective gave the model count as
// its own.
void start_objective(const SafetensorsFile& start, const DualEncoder& model, const torch::nn::Module& objective);

}  // namespace silc
