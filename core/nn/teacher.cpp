#include "nn/teacher.h"

#include <stdexcept>

#include "nn/schedules.h"

namespace silc {

Teacher::Teacher(const std::shared_ptr<ImageTower>& student_tower, std::shared_ptr<ImageTower> tower,
                 const std::shared_ptr<DistillationHead>& student_head, std::shared_ptr<DistillationHead> head)
    : tower_(register_module("image", std::move(tower))) {
  follow(*student_tower, *tower_);
  if (student_head) {
    head_ = register_module("head", std::move(head));
    follow(*student_head, *head_);
  }
}

void Teacher::follow(const torch::nn::Module& student, torch::nn::Module& teacher) {
  auto from = student.parameters(), to = teacher.parameters();
  for (auto& parameter : to) parameter.set_requires_grad(false);
  const auto from_buffers = student.buffers(), to_buffers = teacher.buffers();
  from.insert(from.end(), from_buffers.begin(), from_buffers.end());
  to.insert(to.end(), to_buffers.begin(), to_buffers.end());
  if (from.size() != to.size()) throw std::logic_error("teacher and student differ in architecture");
  for (std::size_t i = 0; i < from.size(); ++i) {
    const bool averaged = from[i].is_floating_point();
    (averaged ? averaged_ : copied_).push_back(to[i]);
    (averaged ? averaged_from_ : copied_from_).push_back(from[i]);
  }
  update(0);
}

void Teacher::update(double momentum) {
  const torch::NoGradGuard no_grad;
  if (momentum == 0) {
    at::_foreach_copy_(averaged_, averaged_from_);
  } else {
    at::_foreach_lerp_(averaged_, averaged_from_, 1 - momentum);
  }
  if (!copied_.empty()) at::_foreach_copy_(copied_, copied_from_);
}

at::Tensor Teacher::forward(const at::Tensor& images) {
  const torch::NoGradGuard no_grad;
  return head_->forward(tower_->pool(images));
}

ImageFeatures Teacher::features(const at::Tensor& images) {
  const torch::NoGradGuard no_grad;
  return tower_->forward(images);
}

double MomentumOptions::momentum(const Options& options, double fraction) const {
  return cosine_schedule(options[first], options[last], fraction);
}

}  // namespace silc
