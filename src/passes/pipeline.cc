#include "passes/pipeline.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "graph/verify.h"
#include "passes/lowering.h"
#include "passes/passes.h"

namespace coracle::passes {
namespace {

struct Pass {
  std::string_view name;
  size_t (*run)(graph::Graph&);
};

/// Patterns first, while their pieces are whole; folding before fusing, so that a scale reaches its
/// weights before an activation comes between; integers before activations and shifts are fused,
/// which would hide the layers between dequantisation and quantisation.
constexpr std::array kLogicalPasses = {
    Pass{"simplify", &Simplify},
    Pass{"share common", &ShareCommon},
    Pass{"fuse layer norm", &FuseLayerNorm},
    Pass{"fuse hard sigmoid", &FuseHardSigmoid},
    Pass{"fuse gated", &FuseGated},
    Pass{"fuse prelu", &FusePRelu},
    Pass{"fuse gated residual", &FuseGatedResidual},
    Pass{"fold pad", &FoldPad},
    Pass{"fold linear back", &FoldLinearBack},
    Pass{"fuse integer sums", &FuseIntegerSums},
    Pass{"scale integer sums", &ScaleIntegerSums},
    Pass{"fuse quantized add", &FuseQuantizedAdd},
    Pass{"keep quantized", &KeepQuantized},
    Pass{"fold matmul scale", &FoldMatMulScale},
    Pass{"fuse attention", &FuseAttention},
    Pass{"fold linear forward", &FoldLinearForward},
    Pass{"fuse activation", &FuseActivation},
    Pass{"fuse residual", &FuseResidual},
    Pass{"share concat prefix", &ShareConcatPrefix},
};

/// What lowering gives a second chance: constants along the last axis, and moves that met.
constexpr std::array kRowsPasses = {
    Pass{"simplify", &Simplify},
    Pass{"share common", &ShareCommon},
    Pass{"fold linear back", &FoldLinearBack},
    Pass{"fold linear forward", &FoldLinearForward},
    Pass{"fuse activation", &FuseActivation},
    Pass{"fuse residual", &FuseResidual},
    Pass{"split global pooling", &SplitGlobalPooling},
};

/// Rounds until a fixed point; far more than any chain of rewrites has needed.
constexpr int kMaxRounds = 16;

Status VerifyAfter(const graph::Graph& graph, std::string_view pass) {
  const Status status = graph::Verify(graph);
  if (status.ok()) return {};
  return Error{status.error().code,
               fmt::format("after pass '{}': {}", pass, status.error().message)};
}

Status RunToFixedPoint(graph::Graph& graph, std::span<const Pass> passes) {
  for (int round = 0; round < kMaxRounds; ++round) {
    size_t rewrites = 0;
    for (const Pass& pass : passes) {
      const size_t made = pass.run(graph);
      if (made > 0) TRY(VerifyAfter(graph, pass.name));
      rewrites += made;
    }
    if (rewrites == 0) return {};
  }
  return {};
}

}  // namespace

Status RunPasses(graph::Graph& graph) {
  if (graph.stage != graph::Stage::kLogical) {
    return Error{Code::kInvalidArgument, "passes: the graph has been lowered already"};
  }
  TRY(VerifyAfter(graph, "import"));
  return RunToFixedPoint(graph, kLogicalPasses);
}

Result<graph::Graph> LowerToRows(const graph::Graph& logical) {
  if (logical.stage != graph::Stage::kLogical) {
    return Error{Code::kInvalidArgument, "lowering: the graph has been lowered already"};
  }
  TRY(VerifyAfter(logical, "import"));
  TRY_ASSIGN(graph::Graph rows, Lowering(logical).Run());
  TRY(VerifyAfter(rows, "lowering"));
  TRY(RunToFixedPoint(rows, kRowsPasses));
  return rows;
}

}  // namespace coracle::passes
