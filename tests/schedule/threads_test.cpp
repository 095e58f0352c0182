#include "schedule/threads.h"

#include <gtest/gtest.h>

namespace silc {
namespace {

ResolvedCell cell_with_threads(int64_t threads) {
  ResolvedCell cell;
  cell.engine.threads = threads;
  return cell;
}

TEST(Threads, OneCellGetsAllOfThem) {
  const std::vector<ResolvedCell> cells = {cell_with_threads(0), cell_with_threads(0)};
  const ThreadPlan plan = plan_threads({8, 0}, cells);
  EXPECT_EQ(plan.jobs, 1);
  EXPECT_EQ(plan.of(cells[0]), 8);
}

TEST(Threads, AreDividedAmongCellsSideBySide) {
  const std::vector<ResolvedCell> cells = {cell_with_threads(0)};
  EXPECT_EQ(plan_threads({8, 3}, cells).of(cells[0]), 2);
}

TEST(Threads, ACellHasAtLeastOne) {
  const std::vector<ResolvedCell> cells = {cell_with_threads(0)};
  EXPECT_EQ(plan_threads({2, 5}, cells).of(cells[0]), 1);
}

TEST(Threads, WhatTheExperimentFixesDecidesHowManyCellsFit) {
  const std::vector<ResolvedCell> cells = {cell_with_threads(1), cell_with_threads(3)};
  const ThreadPlan plan = plan_threads({8, 0}, cells);
  EXPECT_EQ(plan.jobs, 2);
  EXPECT_EQ(plan.of(cells[0]), 1);
  EXPECT_EQ(plan.of(cells[1]), 3);
}

TEST(Threads, ACellThatWantsMoreThanThereAreStillRuns) {
  const std::vector<ResolvedCell> cells = {cell_with_threads(16)};
  EXPECT_EQ(plan_threads({4, 0}, cells).jobs, 1);
}

TEST(Threads, OneCellRunsOnEachGpu) {
  const std::vector<ResolvedCell> cells(5, cell_with_threads(0));
  EXPECT_EQ(plan_threads({16, 0}, cells, 4).jobs, 4);
  EXPECT_EQ(plan_threads({16, 0}, cells, 4).of(cells[0]), 4);
  EXPECT_EQ(plan_threads({16, 0}, cells, 8).jobs, 5) << "no more than there are cells";
  EXPECT_EQ(plan_threads({16, 2}, cells, 4).jobs, 2) << "whoever says how many decides";
}

TEST(Threads, FixedOnesThatAreTooFewLeaveGpusIdle) {
  const std::vector<ResolvedCell> cells(5, cell_with_threads(4));
  EXPECT_EQ(plan_threads({8, 0}, cells, 4).jobs, 2);
  EXPECT_EQ(plan_threads({64, 0}, cells, 4).jobs, 4) << "not more than one on a GPU";
}

TEST(Threads, RanksShareThoseOfTheirCell) {
  std::vector<ResolvedCell> cells(4, cell_with_threads(0));
  for (ResolvedCell& cell : cells) cell.engine.ranks = 4;
  EXPECT_EQ(plan_threads({8, 0}, cells).of(cells[0]), 2);
  EXPECT_EQ(plan_threads({8, 0}, cells, 8).jobs, 2) << "four GPUs a cell";
  for (ResolvedCell& cell : cells) cell.engine.threads = 1;
  EXPECT_EQ(plan_threads({8, 0}, cells).jobs, 2);
}

TEST(Threads, GpusDoNotMatterToCellsOnTheCpu) {
  std::vector<ResolvedCell> cells(3, cell_with_threads(0));
  cells[1].engine.device = "cpu";
  EXPECT_EQ(plan_threads({8, 0}, cells, 4).jobs, 1);
}

TEST(Threads, DefaultToThoseOfTheProcess) { EXPECT_EQ(plan_threads({0, 0}, {}).threads, available_threads()); }

}  // namespace
}  // namespace silc
