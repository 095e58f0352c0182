// The exponential moving average of a student.
#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "nn/distillation_head.h"
#include "silc/objective.h"

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

  // The student's is the context's image tower; `head` as above.
  Teacher(const ObjectiveContext& context, const std::shared_ptr<DistillationHead>& student_head,
          std::shared_ptr<DistillationHead> head)
      : Teacher(context.model->image, context.make_image_tower(), student_head, std::move(head)) {}

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

// A momentum that is the same in all of training, as in SILC.
consteval Option<double> teacher_momentum_option(double standard) {
  return number_option(
      "teacher_momentum", standard, 0, 1,
      "m of the teacher's moving average, the same in all of training; its half-life is log 2 / (1 - m) "
      "steps: 69 for 0.99");
}

// One that grows along a cosine over training, as in DINO (Caron 2021, section 3.1).
struct SILC_EXPORT MomentumOptions {
  Option<double> first, last;

  consteval explicit MomentumOptions(double standard_first, double standard_last = 1)
      : first(number_option("teacher_momentum", standard_first, 0, 1,
                            "m of the teacher's moving average at the beginning; nearer to 1 suits small batches, as "
                            "DINO's 0.9995 for 256")),
        last(number_option("teacher_momentum_end", standard_last, 0, 1,
                           "m at the end, which it reaches along a cosine")) {}

  [[nodiscard]] constexpr auto members() const { return std::tie(first, last); }

  [[nodiscard]] double momentum(const Options& options, double fraction) const;
};

}  // namespace silc
