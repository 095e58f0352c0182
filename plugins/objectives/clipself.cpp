// CLIPSelf (Wu 2024, arXiv:2310.01403): the patch tokens of a region, pooled, learn to be what the model itself, as it
// was at the start, says of the region cut out as a picture of its own. It is for a second phase, or for a model that
// starts from a checkpoint. Regions are cells of random grids (the paper's image patches; its region proposals need a
// detector). As the authors' code (wusize/CLIPSelf: training/clipself.py, training/data.py) with these differences: all
// of the image backbone learns, where they keep what lies before and after the blocks; patch tokens are those that
// evaluation reads, where they skip attention in the last block; and regions are cut from the student's view, which is
// square, so that a teacher with fine detail needs a large `view_size` (theirs: 1024 for the student, 224 for the
// teacher).
#include "nn/freeze.h"
#include "nn/grid_cells.h"
#include "nn/precision.h"
#include "nn/ranks.h"
#include "nn/teacher.h"
#include "nn/views.h"

namespace silc::objectives::clipself {
namespace {

constexpr auto kMaxSplit = integer_option("max_split", 6, 1, 64, "grids have 1 to so many rows and columns");
constexpr auto kMaxCells = integer_option("max_cells", 20, 1, 4096, "cells of a picture's grid that are used at most");
constexpr auto kViewSize = integer_option("view_size", 0, 0, 8192,
                                          "side of the student's view in pixels; 0: image_size. Regions are cut from "
                                          "it and shown to the teacher at image_size");
constexpr auto kProjection = choice_option("projection", "frozen", "frozen|trained",
                                           "the image tower's projection to the joint space; frozen as in CLIPSelf");
constexpr ViewOptions kView({1.0, 1.0});

class ClipSelf : public Objective {
 public:
  explicit ClipSelf(const ObjectiveContext& context)
      : options_(context.options),
        image_size_(context.image_size),
        model_(context.model),
        pooling_(options_[kMaxSplit]) {
    if (view_size() < options_[kMaxSplit])
      throw Error("objective \"clipself\": a view of " + std::to_string(view_size()) +
                  " pixels cannot be split into max_split = " + std::to_string(options_[kMaxSplit]) +
                  " cells; lower max_split");
    freeze(*model_->text);
    if (options_[kProjection] == "frozen") model_->image->train_projection(false);
    teacher_ = register_module("teacher", std::make_shared<Teacher>(model_->image, context.make_image_tower()));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    auto view = kView.view(options_);
    view.size = options_[kViewSize];
    return {view};
  }

  // The model as it was at the start.
  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_->tower(); }

  // Which regions of each picture, and how many of all ranks' pictures.
  void prepare(Batch& batch, const Progress& progress) const override {
    std::vector<GridCell> all;
    std::vector<int64_t> counts;
    int64_t of_all_ranks = 0;
    const int64_t first = ranks().rank() * batch.size;
    for (int64_t b = 0; b < batch.size * ranks().size(); ++b) {
      const auto cells =
          draw_cells(progress.random(static_cast<uint64_t>(b)), options_[kMaxSplit], options_[kMaxCells]);
      of_all_ranks += static_cast<int64_t>(cells.size());
      if (b < first || b >= first + batch.size) continue;
      counts.push_back(static_cast<int64_t>(cells.size()));
      all.insert(all.end(), cells.begin(), cells.end());
    }
    batch.prepared["cells"] = batch.host["cells"] = cell_numbers(all);  // [2, ΣK]
    batch.host["counts"] = at::tensor(counts, at::kLong);               // [B]
    batch.host["of_all_ranks"] = at::scalar_tensor(of_all_ranks, at::kLong);
  }

  // L = mean over regions of 1 − cos(student's pooled patches, teacher's embedding of the region).
  StepResult step(const Batch& batch, const Progress& /*progress*/) override {
    const auto& images = batch.views.at("image");  // [B, 3, S, S]
    const auto features = model_->image->forward(images);
    const auto patches = model_->image->embed_patches(features);  // [B, N, E], as evaluation reads them
    const auto pooling = pooling_.matrix(batch.prepared.at("cells"), features.grid_height, features.grid_width)
                             .to(patches.scalar_type());  // [ΣK, N]
    const auto* count = batch.host.at("counts").const_data_ptr<int64_t>();
    std::vector<at::Tensor> cuts, pooled;
    int64_t first = 0;  // region of the picture
    for (int64_t b = 0; b < batch.size; ++b) {
      const auto end = first + count[b];
      const auto cells = numbered_cells(batch.host.at("cells").slice(1, first, end));
      cuts.push_back(cut_cells(images[b], cells, image_size_));  // [K, 3, s, s]
      const NoAutocast guard;
      // A matrix of its own: where it begins in memory may decide how BLAS rounds.
      pooled.push_back(at::matmul(pooling.slice(0, first, end).clone(), patches[b]));  // [K, E]
      first = end;
    }
    const auto students = l2_normalize(at::cat(pooled));      // [ΣK, E]
    const auto teachers = teacher_embeddings(at::cat(cuts));  // [ΣK, E]
    const auto cosine = (students * teachers).sum(-1).mean();
    // Ranks have different numbers of regions; the mean of their losses is that over all regions.
    const auto of_all_ranks = static_cast<double>(batch.host.at("of_all_ranks").item<int64_t>());
    const double share = static_cast<double>(ranks().size() * students.size(0)) / of_all_ranks;
    return {.terms = {{"region", (1 - cosine) * share}}, .metrics = {}};
  }

 private:
  [[nodiscard]] int64_t view_size() const { return options_[kViewSize] > 0 ? options_[kViewSize] : image_size_; }

  at::Tensor teacher_embeddings(const at::Tensor& cuts) {
    return teacher_->tower()->embed(teacher_->tower()->pool(cuts));
  }

  Options options_;
  int64_t image_size_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<Teacher> teacher_;
  CellPooling pooling_;
};

}  // namespace

SILC_OBJECTIVE(clipself, ClipSelf, 1, "CLIPSelf: patches of a region learn the model's own view of it cut out",
               needs(Need::patch_tokens), kMaxSplit, kMaxCells, kViewSize, kProjection, kView);

}  // namespace silc::objectives::clipself
