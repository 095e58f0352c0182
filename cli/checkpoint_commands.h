// Subcommands of `silc checkpoint` that lie in files of their own.
#pragma once

#include <CLI/App.hpp>

#include "cli/session.h"
#include "spec/checkpoint.h"

namespace silc {

void add_checkpoint_import(CLI::App& group, Session& session);
void add_checkpoint_export(CLI::App& group, Session& session);

// A document with the [model] of a file, and what KEY=VALUE of the command line says over it. Throws SpecError.
Setting model_settings(const CheckpointFile& checkpoint, const std::vector<std::string>& sets);

}  // namespace silc
