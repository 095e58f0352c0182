// What the zero-shot evaluators share: class embeddings from prompts, and a guard against broken models.
#pragma once

#include <string_view>

#include "silc/evaluator.h"

namespace silc::evaluators {

inline constexpr auto kTemplates =
    texts_option("templates", "", "prompts, {} standing for the class name; empty: those of the dataset");

// One embedding a class: the normalised mean of the normalised embeddings of its prompts (Radford 2021, section
// 3.1.4). [C, E] fp32. Throws silc::Error if the dataset has no classes or a template lacks "{}"; `evaluator` is named
// in the message.
at::Tensor class_embeddings(const EvaluationContext& context, std::string_view evaluator);

// Throws silc::Error unless every element is finite: ranking by comparison would count NaN as a hit.
void check_finite(const at::Tensor& embeddings, std::string_view evaluator);

}  // namespace silc::evaluators
