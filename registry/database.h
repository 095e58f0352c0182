// The registry's file: schema, migrations, and the refusal of files that are not a registry. Inside registry only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <utility>

namespace silc {

// Creates the file, or opens and migrates it. Throws silc::Error before anything is changed.
SQLite::Database open_registry(const std::filesystem::path& file);

// Never creates, never migrates, never writes.
SQLite::Database open_registry_for_reading(const std::filesystem::path& file);

// The registry's schema in an empty file or in memory.
void create_schema(SQLite::Database& database);

// Says a fault of SQLite as silc::Error that names the file and the remedy.
[[noreturn]] void throw_database_error(const std::filesystem::path& file, const SQLite::Exception& error);

// Calls `action`, with faults of SQLite said as above.
template <class Action>
auto with_database_errors(const std::filesystem::path& file, Action&& action) {
  try {
    return std::forward<Action>(action)();
  } catch (const SQLite::Exception& error) {
    throw_database_error(file, error);
  }
}

}  // namespace silc
