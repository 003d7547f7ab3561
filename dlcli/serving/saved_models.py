"""SavedModels, looked through before TensorFlow opens them: a SavedModel is a program, and may do what TensorFlow can.

Its operations must be among those that the models and the pipelines of dlcli are made of. A list of what is forbidden
would have holes: of TensorFlow's 1,000 operations without state, `ReadFile`, `ImmutableConst`,
`InitializeTableFromTextFile`, `DecodeProtoV2` and `PyFuncStateless` reach files or Python as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dlcli.errors import ModelError

_FILE, _HINT = "saved_model.pb", "Export it anew, or open it with TensorFlow alone if you trust it"
# Larger than any graph of ours, which hold no weights: what is parsed takes several times as much memory.
_LARGEST = 512 * 2**20

_OPERATIONS = """
Abs Acos Acosh AddN AddV2 All Any ArgMax ArgMin Asin Asinh Assert Atan Atan2 Atanh AvgPool AvgPool3D BatchMatMulV2
BatchToSpaceND BiasAdd Bincount BitwiseAnd BitwiseOr BitwiseXor BroadcastArgs BroadcastTo Case Cast Ceil ClipByValue
ConcatOffset ConcatV2 Const Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 Cos Cosh Cumprod Cumsum DecodeBmp
DecodeGif DecodeImage DecodeJpeg DecodePng DecodeRaw DecodeWebP DenseBincount DepthToSpace DepthwiseConv2dNative
DivNoNan DynamicPartition DynamicStitch Einsum Elu EmptyTensorList EnsureShape Equal Erf Erfc Exp ExpandDims Expm1
ExtractImagePatches ExtractJpegShape Fill Floor FloorDiv FloorMod FusedBatchNormV3 GatherNd GatherV2 Greater
GreaterEqual HashTableV2 Identity IdentityN If InvertPermutation IsFinite IsInf IsNan L2Loss LRN LeakyRelu LeftShift
Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr LookupTableFindV2 LookupTableImportV2
LookupTableSizeV2 LowerBound MatMul MatrixDiagV3 Max MaxPool MaxPool3D Maximum Mean Min Minimum MirrorPad Mod Mul
MulNoNan Neg NoOp NotEqual OneHot OnesLike Pack Pad PadV2 ParallelDynamicStitch PartitionedCall Placeholder
PlaceholderWithDefault Pow PreventGradient Prod RGBToHSV RaggedCountSparseOutput RaggedGather RaggedRange
RaggedTensorToSparse RaggedTensorToTensor Range Rank ReadVariableOp RealDiv Reciprocal ReduceJoin RegexFullMatch
RegexReplace Relu Relu6 Reshape ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ReverseSequence ReverseV2
RightShift Rint Roll Round Rsqrt ScaleAndTranslate ScatterNd SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum
Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin Sinh Size Slice Snapshot Softmax Softplus Softsign SpaceToBatchND
SpaceToDepth SparseFillEmptyRows SparseReorder SparseReshape SparseSegmentMean SparseSegmentSqrtN SparseSegmentSum
SparseTensorDenseMatMul SparseToDense Split SplitV Sqrt Square SquaredDifference Squeeze StatefulPartitionedCall
StatelessCase StatelessIf StatelessWhile StaticRegexFullMatch StaticRegexReplace StopGradient StridedSlice StringJoin
StringLength StringLower StringNGrams StringSplitV2 StringStrip StringToHashBucketFast StringUpper Sub Substr Sum Tan
Tanh TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem TensorListLength
TensorListPopBack TensorListPushBack TensorListReserve TensorListResize TensorListSetItem TensorListStack
TensorScatterAdd TensorScatterUpdate Tile TopKV2 Transpose TruncateDiv UnicodeDecode UnicodeDecodeWithOffsets
UnicodeEncode Unique UniqueV2 Unpack UnsortedSegmentMax UnsortedSegmentMean UnsortedSegmentMin UnsortedSegmentSum
UnsortedSegmentJoin UpperBound VarHandleOp VarIsInitializedOp Where While Xdivy ZerosLike
"""
_KNOWN = frozenset(_OPERATIONS.split())
# What writes and reads the variables: TensorFlow keeps functions of these in each file, which nothing calls here.
_OF_SAVING = frozenset(
    {
        *("AssignVariableOp", "DisableCopyOnRead", "MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"),
        "StringJoin",
    }
)
_KINDS = {"user_object", "variable", "bare_concrete_function", "function", "constant", "resource", "captured_tensor"}


def require_harmless(folder: Path) -> None:
    """Raise a `ModelError` unless all that a SavedModel can do is arithmetic, and work on texts and pictures.

    Args:
        folder: of the SavedModel.
    """
    from dlcli.core.backend import tf  # noqa: F401  # First, and so without its chatter.

    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # isort: skip

    saved = SavedModel()
    try:
        if (folder / _FILE).stat().st_size > _LARGEST:
            raise ValueError("it is too large")
        saved.ParseFromString((folder / _FILE).read_bytes())
        (meta,) = saved.meta_graphs
        if not meta.HasField("object_graph_def") or meta.asset_file_def:
            raise ValueError("it is none that dlcli writes")
    except Exception as error:  # protobuf's own error is no ValueError in all of its versions.
        raise ModelError(f"{folder / _FILE} is damaged ({error})", hint=_HINT) from None
    strange = {node.WhichOneof("kind") for node in meta.object_graph_def.nodes} - _KINDS
    if strange:
        raise ModelError(f"{folder / _FILE} is refused: it has {sorted(map(str, strange))[0]} objects", hint=_HINT)
    functions = {function.signature.name: function for function in meta.graph_def.library.function}
    exposed = set(meta.object_graph_def.concrete_functions)
    if unknown := set(_named(meta.object_graph_def.nodes)) - exposed:
        what = f"its function {min(unknown)} is none that dlcli writes"
        raise ModelError(f"{folder / _FILE} is refused: {what}", hint=_HINT)
    callable_ones = _reachable(functions, exposed)
    _require_known(meta.graph_def.node, functions, folder, also=frozenset({"AssignVariableOp"}))
    for name, function in functions.items():
        # TensorFlow may take another function that says to implement the same.
        also = frozenset() if name in callable_ones or "api_implements" in function.attr else _OF_SAVING
        _require_known(function.node_def, functions, folder, also=also)


def _named(nodes: Any) -> Iterator[str]:
    """Yield the names of the functions that objects of the model are."""
    for node in nodes:
        if node.WhichOneof("kind") == "bare_concrete_function":
            yield node.bare_concrete_function.concrete_function_name
        if node.WhichOneof("kind") == "function":
            yield from node.function.concrete_functions


def _reachable(functions: dict[str, Any], exposed: Iterable[str]) -> set[str]:
    """Return the functions that can be called, by what is exposed or by one another."""
    found: set[str] = set()
    pending = [name for name in exposed if name in functions]
    while pending:
        if (name := pending.pop()) not in found:
            found.add(name)
            pending += [other for node in functions[name].node_def for other in _called(node) if other in functions]
    return found


def _called(node: Any) -> Iterator[str]:
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def _require_known(nodes: Any, functions: dict[str, Any], folder: Path, *, also: frozenset[str]) -> None:
    for node in nodes:
        if node.op not in _KNOWN | also and node.op not in functions:
            raise ModelError(
                f"{folder / _FILE} is refused: its operation {node.op} is none that a model of dlcli has", hint=_HINT
            )
