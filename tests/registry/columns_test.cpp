#include "registry/columns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/report.h"

namespace silc {
namespace {

TEST(Columns, ShowFractionsAsPercent) {
  EXPECT_EQ(format_value("c/acc1", 0.5734, 0.0121), "57.3 ± 1.2");
  EXPECT_EQ(format_value("c/mean_per_class_recall", 0.5, {}), "50.0");
  EXPECT_EQ(format_value("r/image_retrieval_recall@1@teacher", 1, {}), "100.0");
  EXPECT_EQ(format_value("s/miou", 0.00049, {}), "0.0");
}

TEST(Columns, ShowOtherMetricsWithThreeDigits) {
  EXPECT_EQ(format_value("e/entropy", 2.3456, 0.5), "2.35 ± 0.50");
  EXPECT_EQ(format_value("e/entropy", -123.456, {}), "-123");
  EXPECT_EQ(format_value("e/entropy", 0, {}), "0");
  EXPECT_EQ(format_value("e/entropy", 0.00001234, {}), "1.23e-05");
}

TEST(Columns, ShowFlopsWithAPrefix) {
  EXPECT_EQ(format_value("cost/flops", 12.34e12, {}), "12.3 T");
  EXPECT_EQ(format_value("cost/flops", 12.34e12, 0.25e12), "12.3 ± 0.2 T");
  EXPECT_EQ(format_value("cost/flops", 999.6e9, {}), "1.00 T");
  EXPECT_EQ(format_value("cost/parameters", 5'618'177, 0.0), "5.62 M");
}

TEST(Columns, ShowTimesAsPeopleReadThem) {
  EXPECT_EQ(format_value("cost/core_seconds", 8.44, {}), "8.44 s");
  EXPECT_EQ(format_value("cost/core_seconds", 84, 3), "84.0 ± 3.0 s");
  EXPECT_EQ(format_value("cost/core_seconds", 204.4, 2.5), "3 min 24 s ± 2.50 s");
  EXPECT_EQ(format_value("cost/seconds", 3599.7, {}), "1 h 00 min");
  EXPECT_EQ(format_value("cost/evaluation_core_seconds", 7500, {}), "2 h 05 min");
}

TEST(Columns, ShowMemoryInMegabytes) {
  EXPECT_EQ(format_value("cost/peak_memory", 812.4e6, 4e6), "812 ± 4 MB");
  EXPECT_EQ(format_value("cost/peak_memory", 12.34e9, {}), "12.3 GB");
}

TEST(Columns, GroupTheDigitsOfCounts) {
  EXPECT_EQ(format_value("cost/examples", 16384, 0.0), "16 384");
  EXPECT_EQ(format_value("cost/examples", 999, {}), "999");
  EXPECT_EQ(format_value("cost/examples", 1234567, 1200), "1 234 567 ± 1 200");
}

TEST(Columns, ShowDifferencesWithTheirSign) {
  EXPECT_EQ(format_difference("c/acc1", 0.021), "+2.1");
  EXPECT_EQ(format_difference("c/acc1", -0.004), "−0.4");
  EXPECT_EQ(format_difference("c/acc1", -0.0001), "±0.0");
  EXPECT_EQ(format_difference("cost/flops", 1e9), "");
}

TEST(Columns, HaveShortHeadersWhereTheyAreClear) {
  EXPECT_THAT(
      column_headers({"a/acc1", "b/miou", "b/miou@teacher", "r/image_retrieval_recall@1", "cost/flops", "e/kl"}),
      testing::ElementsAre("acc1 %", "miou %", "miou@teacher %", "image_retrieval_recall@1 %", "FLOPs", "kl"));
}

TEST(Columns, NameTheEvaluatorWhereTwoShareAMetric) {
  EXPECT_THAT(column_headers({"a/acc1", "b/acc1", "b/acc5"}), testing::ElementsAre("a/acc1 %", "b/acc1 %", "acc5 %"));
}

TEST(Columns, TakeLossesAndCostsForBetterWhenLower) {
  EXPECT_TRUE(higher_is_better("c/acc1@teacher"));
  EXPECT_FALSE(higher_is_better("cost/flops"));
  EXPECT_FALSE(higher_is_better("c/validation_loss"));
}

TEST(NamedValue, ReadsAsTheTableDoes) {
  EXPECT_EQ(named_value("acc1", 0.4623), "acc1 46.2 %");
  EXPECT_EQ(named_value("pixel_accuracy@teacher", 0.23), "pixel_accuracy@teacher 23.0 %");
  EXPECT_EQ(named_value("kl", 1.234), "kl 1.23");
}

TEST(Columns, StandInTheOrderOfTheirNumbers) {
  EXPECT_TRUE(natural_order("recall@5", "recall@10"));
  EXPECT_FALSE(natural_order("recall@10", "recall@5"));
  EXPECT_FALSE(natural_order("recall@5", "recall@5"));
  EXPECT_TRUE(natural_order("acc1", "acc5"));
  EXPECT_TRUE(natural_order("recall", "recall@1"));
  EXPECT_TRUE(natural_order("a@05", "a@10"));
}

}  // namespace
}  // namespace silc
