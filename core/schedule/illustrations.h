// What the models of finished cells make of pictures, which only an engine can tell. No LibTorch.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "schedule/engine_process.h"

namespace silc {

// Asks `question` ({"cells": [{"folder", …}]}, core/engine/illustrate.h) of an engine, which writes into the cells' run
// folders. Why that failed, by folder; an engine that dies or hangs fails the cell that it was at, and is started again
// for the others. `done` hears of each cell that is over. Throws silc::Error where the engine does not even begin.
std::map<std::string, std::string> make_illustrations(const Engine& engine, nlohmann::json question, int64_t threads,
                                                      const std::function<void(const std::string& folder)>& done = {});

}  // namespace silc
