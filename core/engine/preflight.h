// silc-engine preflight: everything about cells that can be known before the first of them is trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "plugin/catalogue.h"

namespace silc {

struct PreflightRequest {
  // {"cells": [{"toml": a cell.toml's text, "folder": where the cell would run}], "skip": [items]}: what lies in
  // `skip`, items of an earlier call that did not come to its end, is left out, and so is what builds on it.
  nlohmann::json question;
  int64_t threads = 0;
};

// Opens each data source and looks at three of its samples; compares what evaluators and objectives say that they need
// with what dataset and model have; builds each cell's model and objective, and takes a step with two pictures in each
// part of training; evaluates a few samples with each evaluation. docs/architecture.md has the lines that `emit` gets.
// Throws silc::Error only for a question that makes no sense.
void preflight(const PreflightRequest& request, const Catalogue& catalogue,
               const std::function<void(const nlohmann::json& line)>& emit);

}  // namespace silc
