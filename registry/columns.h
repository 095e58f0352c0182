// Columns of tables: how they are named, what they mean and how their numbers read. Inside registry only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry/registry.h"

namespace silc {

std::string column_of(const MetricRecord& metric);            // "EVALUATOR/METRIC"
std::string qualified_column_of(const MetricRecord& metric);  // "EVALUATOR/DATASET/METRIC"

bool is_cost(const std::string& column);    // of training or of the search
bool is_search(const std::string& column);  // of the row's search: "search/flops"
// The metric's name: "image_retrieval_recall@1" of "zero_shot_retrieval/image_retrieval_recall@1@teacher".
std::string metric_of(const std::string& column);
// The weights that a column names: "teacher" of the same; empty: those that plain columns mean.
std::string weights_of(const std::string& column);
bool is_percent(const std::string& column);
bool higher_is_better(const std::string& column);

// Whether `one` comes before `other`, by name, with numbers by their size: recall@5 before recall@10.
bool natural_order(const std::string& one, const std::string& other);

// Headers for people: "acc1 %", "FLOPs"; with the evaluator before it where two columns would read the same.
std::vector<std::string> column_headers(const std::vector<std::string>& columns);

// A field of CSV (RFC 4180). A name that begins as a formula does would run as one in a spreadsheet; behind an
// apostrophe it is a text.
std::string csv_field(const std::string& text);

// "57.3 ± 1.2", "12.3 T", "1 min 24 s ± 2 s", "16 384". A spread that would read as zero is left out of costs.
std::string format_value(const std::string& column, double mean, std::optional<double> spread);
// "+2.1", "−0.4", in the unit of format_value. Empty for costs.
std::string format_difference(const std::string& column, double difference);

}  // namespace silc
