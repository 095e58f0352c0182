// Silc's own objectives, by name.
#pragma once

#include <map>
#include <string>

#include "silc/objective.h"

extern "C" {
silc::Objective* silc_objective_cap(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_clip(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_clipself(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_dino(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_dinov2(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_ibot(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_lit(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_maskclip(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_pacl(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_siglip(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_siglip2(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_silc(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_slip(const silc::ObjectiveContext& context);
silc::Objective* silc_objective_xclip(const silc::ObjectiveContext& context);
}

namespace silc::testing {

using ObjectiveFactory = Objective*(const ObjectiveContext&);

inline ObjectiveFactory* factory_of(const std::string& name) {
  static const std::map<std::string, ObjectiveFactory*> kFactories = {
      {"cap", silc_objective_cap},       {"clip", silc_objective_clip},         {"clipself", silc_objective_clipself},
      {"dino", silc_objective_dino},     {"dinov2", silc_objective_dinov2},     {"ibot", silc_objective_ibot},
      {"lit", silc_objective_lit},       {"maskclip", silc_objective_maskclip}, {"pacl", silc_objective_pacl},
      {"siglip", silc_objective_siglip}, {"siglip2", silc_objective_siglip2},   {"silc", silc_objective_silc},
      {"slip", silc_objective_slip},     {"xclip", silc_objective_xclip}};
  return kFactories.at(name);
}

}  // namespace silc::testing
