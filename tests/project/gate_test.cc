// What a gate may say, what is wrong with one and where, and how it decides.
#include "project/gate.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mlac {
namespace {

using FigureKind = GateFigure::Kind;

TEST(Gate, HasOneSpelling) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"macro_f1 >= 0.43", "macro_f1 >= 0.43"},
           {"macro_f1>=43%", "macro_f1 >= 0.43"},
           {"  accuracy   >=  production  -  0.005 ", "accuracy >= production - 0.005"},
           {"accuracy >= production - 0.5%", "accuracy >= production - 0.005"},
           {"accuracy > production", "accuracy > production"},
           {"loss <= production * 1.1 + 0.01", "loss <= production * 1.1 + 0.01"},
           {"loss < 1e-1", "loss < 0.1"},
           {"latency_p99(32 tokens) <= 10 ms", "latency_p99(32 tokens) <= 10 ms"},
           {"latency_p99( 32tokens ) <= 0.01s", "latency_p99(32 tokens) <= 10 ms"},
           {"latency_p50(8 tokens) <= production + 500 us", "latency_p50(8 tokens) <= production + 0.5 ms"},
           {"size <= 100 MB", "size <= 100 MB"},
           {"size <= 512 KiB", "size <= 524288 B"},
           {"size <= production", "size <= production"},
           {"num_examples >= 1000", "num_examples >= 1000"},
           {"per_class.sports.f1 >= 0.8", "per_class.sports.f1 >= 0.8"},
           {"per_class.\"two words\".recall > 0.5", "per_class.\"two words\".recall > 0.5"},
           {"per_class.Straße.support >= 10", "per_class.Straße.support >= 10"}})
    EXPECT_EQ(ParseGate(text).Text(), expected) << text;
}

TEST(Gate, WhatCannotBeReadIsRefusedWithItsColumn) {
  struct Case {
    std::string text;
    size_t position;
    std::string message;
  };
  for (const Case& c : std::vector<Case>{
           {"", 0, "expected a figure, found the end"},
           {"acuracy >= 0.5", 0, "there is no figure 'acuracy'"},
           {"accuracy", 8, "expected >=, <=, > or <, found the end"},
           {"accuracy = 0.5", 9, "expected >=, <=, > or <, found '= 0.5'"},
           {"accuracy >= ", 12, "expected a number, found the end"},
           {"accuracy >= many", 12, "there is nothing 'many' to compare with"},
           {"accuracy >= prodution", 12, "there is nothing 'prodution' to compare with"},
           {"accuracy >= 0.5 0.6", 16, "'0.6' is more than a gate has"},
           {"accuracy >= production - ", 25, "expected a number, found the end"},
           {"accuracy >= production / 2", 23, "'/ 2' is more than a gate has"},
           {"accuracy >= 0.5 ms", 16, "'ms' is more than a gate has"},
           {"size <= 100", 11, "expected a unit behind the number, found ''"},
           {"size <= 100 ms", 11, "expected a unit behind the number, found ' ms'"},
           {"latency_p99 <= 10 ms", 12, "expected '(' behind latency_p99, as in latency_p99(32 tokens), found '<= 10 ms'"},
           {"latency_p99(0 tokens) <= 10 ms", 12, "expected a number of tokens"},
           {"latency_p99(1.5 tokens) <= 10 ms", 12, "expected a number of tokens"},
           {"latency_p99(32) <= 10 ms", 14, "expected 'tokens' behind the number, found ') <= 10 ms'"},
           {"latency_p99(32 tokens <= 10 ms", 22, "expected ')' behind tokens, found '<= 10 ms'"},
           {"latency_p99(32 tokens) <= 10", 28, "expected a unit behind the number, found ''"},
           {"per_class >= 0.5", 10, "expected '.' and a label behind per_class, as in per_class.sports.f1, found '>= 0.5'"},
           {"per_class.sports >= 0.5", 17, "expected '.' and precision, recall, f1 or support behind the label, found '>= 0.5'"},
           {"per_class.sports.f2 >= 0.5", 17, "a label has no figure 'f2'"},
           {"per_class.\"sports.f1 >= 0.5", 10, "the quotation mark has no second one"}}) {
    try {
      ParseGate(c.text);
      ADD_FAILURE() << c.text << " is taken";
    } catch (const GateSyntaxError& error) {
      EXPECT_EQ(error.message(), c.message) << c.text;
      EXPECT_EQ(error.position(), c.position) << c.text;
    }
  }
}

TEST(Gate, AWrongNameBringsTheNearestAndAll) {
  try {
    ParseGate("acuracy >= 0.5");
    FAIL();
  } catch (const GateSyntaxError& error) {
    EXPECT_EQ(error.hint(),
              "did you mean 'accuracy'? there are: accuracy, macro_f1, weighted_f1, loss, num_examples, per_class, size, latency_p50, "
              "latency_p99");
  }
}

TEST(Gate, ConfidentNeedsAnInterval) {
  for (const char* text : {"accuracy >= 0.5", "macro_f1 > production - 0.01", "weighted_f1 >= production", "per_class.a.recall >= 0.5"})
    EXPECT_TRUE(ParseGate(text, true).confident) << text;
  for (const char* text : {"loss <= 0.5", "size <= 1 MB", "latency_p99(8 tokens) <= 1 ms", "weighted_f1 >= 0.5",
                           "accuracy >= production * 0.9", "per_class.a.f1 >= production"})
    EXPECT_THROW(ParseGate(text, true), GateSyntaxError) << text;
}

TEST(Gate, DecidesAtTheBoundItself) {
  for (const auto& [text, value, passes] : std::vector<std::tuple<std::string, double, bool>>{{"accuracy >= 0.43", 0.43, true},
                                                                                              {"accuracy >= 0.43", 0.4299, false},
                                                                                              {"accuracy > 0.43", 0.43, false},
                                                                                              {"accuracy > 0.43", 0.4301, true},
                                                                                              {"loss <= 0.5", 0.5, true},
                                                                                              {"loss <= 0.5", 0.5001, false},
                                                                                              {"loss < 0.5", 0.5, false},
                                                                                              {"loss < 0.5", 0.4999, true}})
    EXPECT_EQ(Decide(ParseGate(text), {.value = value}).passed, passes) << text << ", " << value;
}

TEST(Gate, ADifferenceOfExactlyTheBoundIsNotAboveIt) {
  const Gate gate = ParseGate("accuracy >= production - 0.005");
  EXPECT_TRUE(Decide(gate, {.value = 0.905, .production = 0.91}).passed);  // 0.91 - 0.005 is above 0.905 in binary
  EXPECT_FALSE(Decide(gate, {.value = 0.9049, .production = 0.91}).passed);
}

TEST(Gate, WithoutProductionItPassesAndSaysSo) {
  const GateOutcome outcome = Decide(ParseGate("accuracy >= production"), {.value = 0.2});
  EXPECT_TRUE(outcome.passed);
  EXPECT_EQ(outcome.line, "0.2000; there is no production yet to compare with");
}

TEST(Gate, SaysBothFiguresAndTheInterval) {
  const GateOutcome outcome = Decide(ParseGate("accuracy >= production - 0.005"),
                                     {.value = 0.9, .production = 0.92, .difference_interval = Interval{-0.03, -0.01}});
  EXPECT_FALSE(outcome.passed);
  EXPECT_EQ(outcome.line, "0.9000, production 0.9200, bound 0.9150; the difference is -0.0200 (95 %: -0.0300 to -0.0100)");
  EXPECT_EQ(Decide(ParseGate("size <= 10 MB"), {.value = 9e6}).line, "9.0 MB");
  EXPECT_EQ(Decide(ParseGate("latency_p99(8 tokens) <= 10 ms"), {.value = 2.5, .processor = "a processor"}).line, "2.50 ms on a processor");
  EXPECT_EQ(Decide(ParseGate("accuracy >= 0.5"), {.value = 0.6, .value_interval = Interval{0.5, 0.7}}).line,
            "0.6000 (95 %: 0.5000 to 0.7000)");
}

TEST(Gate, ConfidentIsDecidedByTheEndThatIsAgainstIt) {
  const Gate against = ParseGate("accuracy >= production - 0.01", true);
  EXPECT_TRUE(Decide(against, {.value = 0.9, .production = 0.9, .difference_interval = Interval{-0.01, 0.02}}).passed);
  EXPECT_FALSE(Decide(against, {.value = 0.9, .production = 0.9, .difference_interval = Interval{-0.011, 0.02}}).passed);
  const Gate least = ParseGate("accuracy >= 0.8", true), most = ParseGate("accuracy <= 0.8", true);
  EXPECT_FALSE(Decide(least, {.value = 0.85, .value_interval = Interval{0.79, 0.9}}).passed);
  EXPECT_TRUE(Decide(least, {.value = 0.85, .value_interval = Interval{0.8, 0.9}}).passed);
  EXPECT_FALSE(Decide(most, {.value = 0.75, .value_interval = Interval{0.7, 0.81}}).passed);
  EXPECT_TRUE(Decide(most, {.value = 0.75, .value_interval = Interval{0.7, 0.8}}).passed);
}

}  // namespace
}  // namespace mlac
