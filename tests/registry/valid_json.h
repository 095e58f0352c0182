// What silc prints as JSON, held to the schemas in docs/reference.
#pragma once

#include <gtest/gtest.h>

#if __has_include(<valijson/validator.hpp>)
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>
#endif

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "files/durable_file.h"

namespace silc {

// `schema`: a file of docs/reference.
inline void expect_valid_json(const std::string& text, const std::string& schema) {
#if __has_include(<valijson/validator.hpp>)
  const auto description =
      nlohmann::json::parse(read_file(std::filesystem::path(SILC_SOURCE_DIR) / "docs/reference" / schema));
  valijson::Schema parsed;
  valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(description), parsed);
  const auto json = nlohmann::json::parse(text);
  valijson::ValidationResults faults;
  EXPECT_TRUE(valijson::Validator().validate(parsed, valijson::adapters::NlohmannJsonAdapter(json), &faults));
  for (valijson::ValidationResults::Error fault; faults.popError(fault);) {
    std::string place;
    for (const std::string& part : fault.context) place += part;
    ADD_FAILURE() << place << ": " << fault.description;
  }
#else
  GTEST_SKIP() << "there is no valijson to hold " << text.size() << " bytes to " << schema;
#endif
}

}  // namespace silc
