// From run folders to the registry. Inside registry only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>

namespace silc {

// Within the caller's transaction. `folder` is relative to `runs`. See Registry::ingest.
void ingest_folder(SQLite::Database& database, const std::filesystem::path& runs, const std::filesystem::path& folder);

}  // namespace silc
