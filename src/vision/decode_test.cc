#include "vision/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "vision/decode_kinds.h"
#include "vision/test_files.h"

namespace coracle::vision {
namespace {

using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Result<Answer> DecodeOne(std::string_view spec, const MemoryOutput& output,
                         const std::vector<std::string>& labels,
                         const DecodeOptions& options = {}) {
  TRY_ASSIGN(const Decoder decoder, Decoder::Parse(spec));
  EXPECT_EQ(Decoder::Parse(decoder.ToJson())->ToJson(), decoder.ToJson());
  const OutputView* views[] = {&output};
  return decoder.Decode(views, labels, options);
}

TEST(DecodeTopK, AppliesSoftmaxOnlyToLogits) {
  const std::vector<std::string> labels = {"cat", "dog", "owl"};
  const MemoryOutput logits("y", Shape{1, 3}, {1, 3, 2});
  const MemoryOutput probabilities("y", Shape{1, 3, 1, 1}, {.2f, .7f, .1f});
  auto answer = DecodeOne(R"({"kind":"topk"})", logits, labels, {.top = 2, .geometry = {}});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  const auto& top = std::get<TopAnswer>(answer->value).top;
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].label, "dog");
  EXPECT_EQ(top[1].label, "owl");
  EXPECT_NEAR(top[0].score, std::exp(0.) / (1 + std::exp(-1.) + std::exp(-2.)), 1e-6);

  answer = DecodeOne(R"({"kind":"topk"})", probabilities, labels);
  EXPECT_NEAR(std::get<TopAnswer>(answer->value).top[0].score, .7, 1e-6);
  answer = DecodeOne(R"({"kind":"topk","softmax":false})", logits, labels);
  EXPECT_NEAR(std::get<TopAnswer>(answer->value).top[0].score, 3, 1e-6);
  answer = DecodeOne(R"({"kind":"topk","softmax":true})", probabilities, labels);
  EXPECT_LT(std::get<TopAnswer>(answer->value).top[0].score, .5);
}

TEST(DecodeTopK, RanksManyClassesAsASortDoes) {
  std::vector<float> values(5000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 7919) % 5000);
  values[4321] = kNan;
  const MemoryOutput output("y", Shape{5000}, values);
  auto answer = DecodeOne(R"({"kind":"topk"})", output, {}, {.top = 20, .geometry = {}});
  ASSERT_TRUE(answer.ok());
  const auto& top = std::get<TopAnswer>(answer->value).top;
  ASSERT_EQ(top.size(), 20u);
  for (size_t i = 0; i < top.size(); ++i) EXPECT_EQ(values[top[i].index], 4999 - i);
  EXPECT_EQ(top[0].label, std::to_string(top[0].index));
}

TEST(DecodeTopK, ShiftsLabelsPastTheBackground) {
  const MemoryOutput output("y", Shape{2}, {0, 1});
  auto answer = DecodeOne(R"({"kind":"topk"})", output, {"background", "cat", "dog"});
  EXPECT_EQ(std::get<TopAnswer>(answer->value).top[0].label, "dog");
  answer = DecodeOne(R"({"kind":"topk"})", output, {"cat"});
  EXPECT_EQ(std::get<TopAnswer>(answer->value).top[0].label, "1");
}

TEST(DecodeTopK, RefusesBatchesAndUnknownOutputs) {
  const MemoryOutput batch("y", Shape{2, 3}, {});
  EXPECT_FALSE(DecodeOne(R"({"kind":"topk"})", batch, {}).ok());
  EXPECT_THAT(DecodeOne(R"({"kind":"topk","output":"z"})", batch, {}).error().message,
              HasSubstr("no output \"z\""));
}

TEST(DecodeCtc, CollapsesRepeatsAndDropsBlanks) {
  // classes: blank, a, b, space. Steps: a a - a b b - sp
  std::vector<float> values;
  const int path[] = {1, 1, 0, 1, 2, 2, 0, 3};
  for (const int best : path) {
    for (int i = 0; i < 4; ++i) values.push_back(i == best ? .7f : .1f);
  }
  const std::vector<std::string> labels = {"a", "b", " "};
  for (const Shape& shape : {Shape{1, 8, 4}, Shape{8, 1, 4}, Shape{8, 4}}) {
    auto answer = DecodeOne(R"({"kind":"ctc"})", MemoryOutput("y", shape, values), labels);
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(std::get<TextAnswer>(answer->value).text, "aab ");
    EXPECT_NEAR(std::get<TextAnswer>(answer->value).score, .7, 1e-6);
  }
  auto last = DecodeOne(R"({"kind":"ctc","blank":3})", MemoryOutput("y", Shape{1, 8, 4}, values),
                        {"x", "y", "z"});
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(std::get<TextAnswer>(last->value).text, "yxyzx");
}

TEST(DecodeCtc, KeysAreUtf8AndNoTextIsNoError) {
  std::vector<float> values = {0, 9, 0, 0, 0, 9};
  auto answer =
      DecodeOne(R"({"kind":"ctc"})", MemoryOutput("y", Shape{1, 2, 3}, values), {"中", "\xff"});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->ToJson()["text"], "中?");
  EXPECT_GT(std::get<TextAnswer>(answer->value).score, .99);
  answer = DecodeOne(R"({"kind":"ctc"})", MemoryOutput("y", Shape{1, 2, 3}, {9, 0, 0, 9, 0, 0}),
                     {"a", "b"});
  EXPECT_EQ(answer->ToJson().dump(), R"({"score":0.0,"text":""})");
}

TEST(DecodeCtc, RefusesOtherKeysAndShapes) {
  EXPECT_THAT(
      DecodeOne(R"({"kind":"ctc"})", MemoryOutput("y", Shape{1, 2, 3}, {}), {"a"}).error().message,
      HasSubstr("must be 2 besides"));
  EXPECT_FALSE(DecodeOne(R"({"kind":"ctc"})", MemoryOutput("y", Shape{3}, {}), {"a"}).ok());
  EXPECT_FALSE(DecodeOne(R"({"kind":"ctc"})", MemoryOutput("y", Shape{2, 2, 3}, {}), {"a"}).ok());
}

/// One 2x2 head of one anchor and two classes with nothing in it.
struct SmallHead {
  static constexpr std::string_view kSpec =
      R"({"kind":"yolo","net_width":64,"net_height":64,
          "heads":[{"output":"h","classes":2,"anchors":[[16,32]]}]})";
  MemoryOutput output{"h", Shape{1, 7, 2, 2}, {}};

  void Put(size_t cell, float x, float y, float w, float h, float objectness, float a, float b) {
    const float entries[] = {x, y, w, h, objectness, a, b};
    for (size_t i = 0; i < 7; ++i) output.values()[i * 4 + cell] = entries[i];
  }
};

TEST(DecodeYolo, PlacesABoxInNetOrImagePixels) {
  SmallHead head;
  head.Put(1, .5f, .25f, 0, std::log(.5f), .9f, .1f, .8f);
  auto answer = DecodeOne(head.kSpec, head.output, {"cat", "dog"});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  auto boxes = std::get<BoxAnswer>(answer->value).detections;
  ASSERT_EQ(boxes.size(), 1u);
  EXPECT_EQ(boxes[0].label, "dog");
  EXPECT_NEAR(boxes[0].score, .72, 1e-6);
  // Centre at column 1.5 of 2, row 0.25 of 2; 16 x 16 pixels of the net's 64 x 64.
  EXPECT_NEAR(boxes[0].box.x, 48 - 8, 1e-4);
  EXPECT_NEAR(boxes[0].box.y, 8 - 8, 1e-4);
  EXPECT_NEAR(boxes[0].box.width, 16, 1e-4);
  EXPECT_NEAR(boxes[0].box.height, 16, 1e-4);

  // The image was 128 x 64, letterboxed: half size, 16 rows above.
  DecodeOptions options;
  options.geometry = Geometry{.5, .5, 0, 16, 128, 64, 64, 64};
  answer = DecodeOne(head.kSpec, head.output, {"cat", "dog"}, options);
  boxes = std::get<BoxAnswer>(answer->value).detections;
  EXPECT_NEAR(boxes[0].box.x, 80, 1e-4);
  EXPECT_NEAR(boxes[0].box.y, -32, 1e-4);
  EXPECT_NEAR(boxes[0].box.width, 32, 1e-4);
  EXPECT_EQ(answer->ToJson()["detections"][0]["label"], "dog");
  EXPECT_EQ(answer->ToJson()["detections"][0]["box"].size(), 4u);
}

TEST(DecodeYolo, ObjectnessTimesClassMustPassTheThreshold) {
  SmallHead head;
  head.Put(0, .5f, .5f, 0, 0, .6f, .7f, 0);    // .42
  head.Put(1, .5f, .5f, 0, 0, .5f, 1, 0);      // objectness not above .5
  head.Put(2, .5f, .5f, kNan, 0, .9f, 1, 0);   // no box
  head.Put(3, .5f, .5f, 0, 0, .9f, .8f, .7f);  // both classes
  auto answer = DecodeOne(head.kSpec, head.output, {});
  const auto& boxes = std::get<BoxAnswer>(answer->value).detections;
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_EQ(boxes[0].index, 0u);
  EXPECT_EQ(boxes[1].index, 1u);
}

TEST(DecodeYolo, RegionAnchorsAreInCells) {
  SmallHead head;
  head.Put(0, .5f, .5f, 0, 0, .9f, 1, 0);
  std::string spec(head.kSpec);
  spec.replace(spec.find("yolo"), 4, "region");
  spec.replace(spec.find("[16,32]"), 7, "[1,0.5]");
  auto answer = DecodeOne(spec, head.output, {});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  const auto& box = std::get<BoxAnswer>(answer->value).detections.at(0).box;
  EXPECT_NEAR(box.width, 32, 1e-4);
  EXPECT_NEAR(box.height, 16, 1e-4);
}

TEST(DecodeYolo, RefusesHeadsOfAnotherShape) {
  SmallHead head;
  for (const Shape& shape : {Shape{1, 8, 2, 2}, Shape{2, 7, 2, 2}, Shape{7, 2, 2}}) {
    auto answer = DecodeOne(head.kSpec, MemoryOutput("h", shape, {}), {});
    EXPECT_THAT(answer.error().message, HasSubstr("head h is"));
  }
  EXPECT_THAT(DecodeOne(head.kSpec, MemoryOutput("g", Shape{1, 7, 2, 2}, {}), {}).error().message,
              HasSubstr("no output \"h\""));
}

TEST(SuppressOverlaps, KeepsTheBestOfEachClass) {
  std::vector<Candidate> boxes = {
      {.5, .5, .2, .2, .6, 0},
      {.51, .5, .2, .2, .9, 0},
      {.5, .5, .2, .2, .7, 1},
      {.65, .5, .2, .2, .8, 0},  // overlaps by .06 / .34 only
  };
  EXPECT_NEAR(OverlapRatio(boxes[0], boxes[0]), 1, 1e-9);
  EXPECT_NEAR(OverlapRatio(boxes[1], boxes[3]), .06 / .34, 1e-9);
  SuppressOverlaps(.45, boxes);
  ASSERT_EQ(boxes.size(), 3u);
  EXPECT_EQ(boxes[0].score, .9);
  EXPECT_EQ(boxes[1].score, .8);
  EXPECT_EQ(boxes[2].score, .7);
}

TEST(DecodeHeatmap, FindsTheRange) {
  auto answer = DecodeOne(R"({"kind":"heatmap"})",
                          MemoryOutput("m", Shape{1, 1, 2, 3}, {.5f, -1, kNan, 2, 0, 1}), {});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->ToJson().dump(), R"({"heatmap":{"height":2,"max":2.0,"min":-1.0,"width":3}})");
  EXPECT_FALSE(
      DecodeOne(R"({"kind":"heatmap"})", MemoryOutput("m", Shape{1, 2, 2, 3}, {}), {}).ok());
}

TEST(Decoder, RefusesWithTheKeysName) {
  const auto refuse = [](std::string_view json, std::string_view says) {
    auto decoder = Decoder::Parse(json);
    ASSERT_FALSE(decoder.ok()) << json;
    EXPECT_THAT(decoder.error().message, HasSubstr(std::string(says)));
  };
  refuse("", "not a JSON object");
  refuse("{}", "\"kind\"");
  refuse(R"({"kind":"ssd"})", "topk, ctc, yolo");
  refuse(R"({"kind":"topk","softmax":1})", "\"softmax\"");
  refuse(R"({"kind":"topk","blank":1})", "unknown key \"blank\"");
  refuse(R"({"kind":"yolo"})", "\"net_width\"");
  const std::string start = R"({"kind":"yolo","net_width":8,"net_height":8,"heads":)";
  refuse(start + "[]}", "\"heads\"");
  refuse(start + "[5]}", "not an object");
  refuse(start + R"([{"output":"h","classes":0,"anchors":[[1,1]]}]})", "\"classes\"");
  refuse(start + R"([{"output":"h","classes":1,"anchors":[]}]})", "\"anchors\"");
  refuse(start + R"([{"output":"h","classes":1,"anchors":[[1]]}]})", "\"anchors\"");
  refuse(start + R"([{"output":"h","classes":1,"anchors":[[1,-1]]}]})", "\"anchors\"");
  refuse(start + R"([{"output":"h","classes":1,"anchors":[[1,1]]}],"nms":2})", "\"nms\"");
}

}  // namespace
}  // namespace coracle::vision
