// The exponential moving average of a student.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/distillation_head.h"
#include "silc/model.h"

namespace silc {

// An image tower, and a head if there is one, that follow a student's: θ_t ← m θ_t + (1 − m) θ_s for parameters and
// buffers alike (buffers of integers are copied). Starts as a copy of the student. Nothing in it requires a gradient.
// Other heads of the student can be followed beside them.
// The student is not part of this module, so that a checkpoint holds it once.
class SILC_EXPORT Teacher : public torch::nn::Module {
 public:
  // `tower`, and `head` where there is a `student_head`: of the student's architecture; their values are overwritten.
  Teacher(const std::shared_ptr<ImageTower>& student_tower, std::shared_ptr<ImageTower> tower,
          const std::shared_ptr<DistillationHead>& student_head = nullptr,
          std::shared_ptr<DistillationHead> head = nullptr);

  // From now on `teacher`, of the architecture of `student`, is its average as well. It is registered here as `name`,
  // and starts as a copy. Gives `teacher` back.
  template <class M>
  std::shared_ptr<M> follow(const std::string& name, const torch::nn::Module& student, std::shared_ptr<M> teacher) {
    register_module(name, teacher);
    follow(student, *teacher);
    return teacher;
  }

  // `momentum` in [0, 1]; 0 copies the student.
  void update(double momentum);

  // Scores [B, K] of images [B, 3, H, W], without a graph.
  at::Tensor forward(const at::Tensor& images);

  // Features of images [B, 3, H, W], without a graph.
  ImageFeatures features(const at::Tensor& images);

  [[nodiscard]] const std::shared_ptr<ImageTower>& tower() const { return tower_; }
  [[nodiscard]] const std::shared_ptr<DistillationHead>& head() const { return head_; }

 private:
  void follow(const torch::nn::Module& student, torch::nn::Module& teacher);

  std::shared_ptr<ImageTower> tower_;
  std::shared_ptr<DistillationHead> head_;
  // Averaged pairwise, and copied pairwise.
  std::vector<at::Tensor> averaged_, averaged_from_;
  std::vector<at::Tensor> copied_, copied_from_;
};

}  // namespace silc
