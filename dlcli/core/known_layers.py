"""What a model file may be made of: the classes and functions of Keras that do arithmetic, by name, and our own.

A list of what is allowed, not of what is not: Keras has layers that hold code (`Lambda`), load libraries or other
models (`TFSMLayer`, `TorchModuleWrapper`, `FlaxLayer`, `JaxLayer`), read files (`StringLookup`, `TextVectorization`) or
call what a config names (`keras.ops`' `Map`, `Cond`, `WhileLoop`, `Vectorize`), and each release may bring more.
"""

from __future__ import annotations

_MODELS = "Functional Sequential"
_LAYERS = """
Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D
AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D
Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D Dense
DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell GaussianDropout GaussianNoise
GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
GlobalMaxPooling3D GroupNormalization GroupQueryAttention Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU
Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute
RMSNormalization RNN RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom
ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax
SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract TimeDistributed
UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
_INITIALIZERS = """
Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
Orthogonal OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
"""
_ACTIVATIONS = """
celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax
squareplus swish tanh tanh_shrink threshold
"""
_OURS = """
BagEmbedding GeometricMean Known LocalMaxPooling MaskedPooling NgramWeights PaddingBehind PositionEmbedding ReverseWords
SelfAttention WordEmbedding penalized_tanh
"""
# Arithmetic on tensors, which Keras writes down where a model was built with `x / 255` or `keras.ops`.
_NUMPY = """
Absolute Add Amax Amin BroadcastTo Clip Concatenate Cos Divide DivideNoNan Dot Einsum Equal Exp ExpandDims Expm1 Flip
Floor FloorDivide GetItem Greater GreaterEqual Less LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr Matmul Max
Maximum Mean Min Minimum Mod Moveaxis Multiply Negative NotEqual OnesLike Pad Power Prod Ravel Reciprocal Repeat Reshape
Roll Round Sign Sin Sqrt Square Squeeze Stack Std Subtract Sum Swapaxes Take Tanh Tensordot Tile Transpose TrueDivide
Var Where ZerosLike
"""
_NN = """
AveragePool Celu Conv DepthwiseConv Elu Gelu Glu HardSigmoid HardSilu HardTanh LeakyRelu LogSigmoid LogSoftmax MaxPool
Moments Normalize OneHot Relu Relu6 Selu SeparableConv Sigmoid Silu Softmax Softplus Softsign
"""

KNOWN: dict[str, frozenset[str]] = {
    module: frozenset(names.split())
    for module, names in {
        "keras": f"{_MODELS} DTypePolicy",
        "keras.models": _MODELS,
        "keras.src.models.functional": "Functional",
        "keras.src.models.sequential": "Sequential",
        "keras.layers": _LAYERS,
        "keras.initializers": _INITIALIZERS,
        "keras.regularizers": "L1 L1L2 L2 OrthogonalRegularizer",
        "keras.constraints": "MaxNorm MinMaxNorm NonNeg UnitNorm",
        "keras.dtype_policies": "DTypePolicy FloatDTypePolicy",
        "keras.src.ops.numpy": _NUMPY,
        "keras.src.ops.nn": _NN,
        "keras.src.ops.core": "Cast ConvertToTensor Slice StopGradient Unstack",
        "keras.src.ops.math": "Erf Logsumexp Rsqrt",
        "keras.src.ops.image": "PadImages RGBToGrayscale Resize",
    }.items()
}
"""By module, the classes that a config may name there."""
ACTIVATIONS = frozenset(_ACTIVATIONS.split())
"""The functions that it may name, of `keras.activations`."""
OURS = frozenset(_OURS.split())
"""What dlcli registers with Keras, as `dlcli>NAME`."""
MARKS = frozenset({"__keras_tensor__", "__numpy__", "__tensor__", "__slice__", "__ellipsis__"})
"""What stands in a config for a value, and is no class."""
