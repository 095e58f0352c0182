// Subcommands of `silc checkpoint` that lie in files of their own.
#pragma once

#include <CLI/App.hpp>

#include "cli/session.h"

namespace silc {

void add_checkpoint_import(CLI::App& group, Session& session);
void add_checkpoint_export(CLI::App& group, Session& session);

}  // namespace silc
