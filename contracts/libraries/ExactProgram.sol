// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title ExactProgram
/// @notice Runs the integer programs that models are compiled to; the Python twin, with the byte format in
/// full, is `modelward.models.exact`.
///
/// | byte | header |
/// |---|---|
/// | 0 | format: 1 |
/// | 1 | kind: 1 layers, 2 trees |
/// | 2 | encoding, the tag of the canonical input: 2 units (uint32), 3 keys (int32), 4 keys (int64) |
/// | 3 | decision: 0 value, 1 positive, 2 not negative, 3 largest |
/// | 4 | scores: 0 none, 1 scaled, 2 exponential, 3 shares, 4 one against the rest |
/// | 5 | decimals of the scores |
/// | 6..7 | features |
/// | 8..9 | outputs |
///
/// `check` once before `run`: what `check` has passed runs on any input, to the same bytes as in Python.
library ExactProgram {
    /// @notice The program breaks a rule of its format, or could overflow.
    /// @param position About where, in bytes.
    error InvalidProgram(uint256 position);

    /// @notice The input does not have the program's tag, or as many numbers as it has features.
    error InvalidInput(uint256 length, uint256 expected);

    uint256 private constant HEADER_BYTES = 10;
    uint256 private constant TREES_HEADER_BYTES = 16;
    uint256 private constant BIAS_BYTES = 10;
    uint256 private constant LAYERS = 1;
    uint256 private constant TREES = 2;

    uint256 private constant UNITS = 2;
    uint256 private constant KEYS64 = 4;

    uint256 private constant VALUE = 0;
    uint256 private constant POSITIVE = 1;
    uint256 private constant NOT_NEGATIVE = 2;
    uint256 private constant LARGEST = 3;

    uint256 private constant NONE = 0;
    uint256 private constant SCALED = 1;
    uint256 private constant EXPONENTIAL = 2;
    uint256 private constant SHARES = 3;
    uint256 private constant ONE_AGAINST_REST = 4;

    uint256 private constant RELU = 1;
    uint256 private constant LOGISTIC = 2;
    uint256 private constant TANH = 3;

    uint256 private constant MOST_FEATURES = 4096;
    uint256 private constant MOST_OUTPUTS = 4096;
    uint256 private constant MOST_LAYERS = 8;
    uint256 private constant MOST_SHIFT = 64;
    uint256 private constant MOST_TREES = 8192;
    uint256 private constant MOST_DEPTH = 255;
    uint256 private constant MOST_DECIMALS = 18;
    uint256 private constant MOST_PROBABILITY_DECIMALS = 9;
    uint256 private constant LARGEST_UNIT = 2 ** 32 - 1;
    uint256 private constant LARGEST_ACTIVATION = 2 ** 32 - 1;
    uint256 private constant LARGEST_ACCUMULATOR = 2 ** 61;
    uint256 private constant LARGEST_START = 2 ** 60;
    uint256 private constant LARGEST_DIVISOR = 2 ** 53;

    uint256 private constant FRACTION_BITS = 30;
    int256 private constant ONE_FRACTION = 2 ** 30;
    int256 private constant ONE_POWER = 2 ** 32;

    uint256 private constant OUTPUT_VERSION = 1;

    uint256 private constant GAS_BASE = 10_000;
    uint256 private constant GAS_FEATURE = 120;
    uint256 private constant GAS_OUTPUT = 1_500;
    uint256 private constant GAS_NEURON = 1_000;
    uint256 private constant GAS_WEIGHT = 100;
    uint256 private constant GAS_TREE = 400;
    uint256 private constant GAS_SPLIT = 150;
    uint256 private constant GAS_SUMMAND = 120;

    /// @dev The header, and where the numbers of an input begin in memory: one to a word.
    struct Header {
        uint256 kind;
        uint256 encoding;
        uint256 decision;
        uint256 scores;
        uint256 decimals;
        uint256 features;
        uint256 outputs;
    }

    // --- checking ---------------------------------------------------------------------------------

    /// @notice Checks everything the format demands, and that no accumulator can leave the range of -2^61 to
    /// 2^61, whatever the input; reverts with `InvalidProgram` otherwise. Accepts what Python accepts.
    /// @return mostGas What `run` takes at most, the program in memory.
    function check(bytes memory program) internal pure returns (uint256 mostGas) {
        unchecked {
            uint256 length = program.length;
            _require(length >= HEADER_BYTES, length);
            Header memory header = _header(program);
            _require(uint8(program[0]) == 1, 0);
            _require(header.kind == LAYERS || header.kind == TREES, 1);
            _require(header.encoding >= UNITS && header.encoding <= KEYS64, 2);
            _require((header.encoding == UNITS) == (header.kind == LAYERS), 2);
            _require(header.features != 0 && header.features <= MOST_FEATURES, 6);
            _require(header.outputs != 0 && header.outputs <= MOST_OUTPUTS, 8);
            _checkFinish(header);
            uint256 position;
            (position, mostGas) =
                header.kind == LAYERS ? _checkLayers(program, header) : _checkTrees(program, header);
            _require(position == length, position);
            mostGas += GAS_BASE + GAS_FEATURE * header.features + GAS_OUTPUT * header.outputs;
        }
    }

    function _checkFinish(Header memory header) private pure {
        _require(header.decision <= LARGEST, 3);
        _require(header.decision == LARGEST || header.outputs == 1, 3);
        _require(header.decision != VALUE || header.scores == SCALED, 4);
        _require(header.scores <= ONE_AGAINST_REST, 4);
        _require(header.scores != SHARES || header.kind == TREES, 4);
        _require(header.scores != ONE_AGAINST_REST || (header.kind == LAYERS && header.decision == LARGEST), 4);
        _require(header.decimals <= (header.scores > SCALED ? MOST_PROBABILITY_DECIMALS : MOST_DECIMALS), 5);
    }

    function _checkLayers(bytes memory program, Header memory header)
        private
        pure
        returns (uint256 position, uint256 mostGas)
    {
        unchecked {
            position = HEADER_BYTES;
            uint256 left = _read(program, position++, 1);
            _require(left != 0 && left <= MOST_LAYERS, HEADER_BYTES);
            uint256 incoming = header.features;
            uint256 largest = LARGEST_UNIT;
            while (left-- != 0) {
                uint256 head = _read(program, position, 5);
                uint256 neurons = head >> 24;
                uint256 activation = uint8(head);
                _require(neurons != 0 && neurons <= MOST_OUTPUTS, position);
                _require(uint8(head >> 16) != 0 && uint8(head >> 16) <= 4, position + 2);
                _require(uint8(head >> 8) <= MOST_SHIFT, position + 3);
                _require(activation <= TANH, position + 4);
                _require(left != 0 || (activation == 0 && neurons == header.outputs), position);
                uint256 end = position + 5 + neurons * (BIAS_BYTES + incoming * uint8(head >> 16));
                _require(end <= program.length, program.length);
                largest = _bound(program, position + 5, head, incoming, largest);
                bool isWide = left == 0 || activation > RELU;
                _require(largest <= (isWide ? LARGEST_ACCUMULATOR : LARGEST_ACTIVATION), position);
                if (activation > RELU) largest = uint256(ONE_FRACTION);
                mostGas += neurons * (GAS_NEURON + GAS_WEIGHT * incoming);
                position = end;
                incoming = neurons;
            }
        }
    }

    /// @dev The largest size a neuron of a layer can have, for values of at most `largest`.
    function _bound(bytes memory program, uint256 position, uint256 head, uint256 incoming, uint256 largest)
        private
        pure
        returns (uint256 bound)
    {
        assembly ("memory-safe") {
            let weightBytes := and(shr(16, head), 0xff)
            let unused := sub(256, shl(3, weightBytes))
            let down := and(shr(8, head), 0xff)
            let rounding := shr(1, shl(down, 1))
            let here := add(add(program, 32), position)
            for { let left := shr(24, head) } left { left := sub(left, 1) } {
                let bias := sar(176, mload(here))
                let sign := sar(255, bias)
                here := add(here, 10)
                let sum := 0
                for { let end := add(here, mul(incoming, weightBytes)) } lt(here, end) { here := add(here, weightBytes) } {
                    let weight := sar(unused, mload(here))
                    let negative := sar(255, weight)
                    sum := add(sum, sub(xor(weight, negative), negative))
                }
                sum := shr(down, add(add(mul(sum, largest), sub(xor(bias, sign), sign)), rounding))
                if gt(sum, bound) { bound := sum }
            }
        }
    }

    function _checkTrees(bytes memory program, Header memory header)
        private
        pure
        returns (uint256 position, uint256 mostGas)
    {
        unchecked {
            uint256 head = _read(program, HEADER_BYTES, TREES_HEADER_BYTES);
            _require(head >> 120 <= 1, HEADER_BYTES);
            _require(uint8(head >> 112) <= 1, HEADER_BYTES + 1);
            bool isWide = head >> 120 != 0;
            bool vectors = uint8(head >> 112) != 0;
            uint256 trees = uint16(head >> 96);
            uint256 divisor = uint64(head >> 32);
            uint256 leaves = uint32(head);
            _require(trees != 0 && trees <= MOST_TREES, HEADER_BYTES + 2);
            _require(divisor != 0 && divisor <= LARGEST_DIVISOR, HEADER_BYTES + 4);
            _require(leaves != 0, HEADER_BYTES + 12);
            position = HEADER_BYTES + TREES_HEADER_BYTES;
            bool areShares = header.scores == SHARES;
            for (uint256 k = 0; k < header.outputs; ++k) {
                int256 start = int64(uint64(_read(program, position, 8)));
                _require(areShares ? start == 0 : _size(start) <= LARGEST_START, position);
                position += 8;
            }
            uint256 table = position;
            position += 6 * leaves * (vectors ? header.outputs : 1);
            _require(position <= program.length, program.length);
            if (areShares) {
                uint256 largest = _largestShare(program, table, position, header.decision == LARGEST);
                _require(largest * trees <= divisor, table);
            }
            uint256 keyBytes = header.encoding == KEYS64 ? 8 : 4;
            uint256 waiting;
            assembly ("memory-safe") {
                waiting := mload(0x40)
                mstore(0x40, add(waiting, shl(5, MOST_DEPTH)))
            }
            while (trees-- != 0) {
                uint256 length = _read(program, position, isWide ? 4 : 2);
                position += isWide ? 4 : 2;
                _require(position + length <= program.length, program.length);
                uint256 depth = _depth(program, position, length, isWide, keyBytes, header.features, leaves, waiting);
                position += length;
                mostGas += GAS_TREE + GAS_SPLIT * depth + (vectors ? GAS_SUMMAND * header.outputs : 0);
            }
        }
    }

    /// @dev The largest size of a leaf's value between two positions; none may be negative where `positive`.
    function _largestShare(bytes memory program, uint256 position, uint256 end, bool positive)
        private
        pure
        returns (uint256 largest)
    {
        unchecked {
            for (; position < end; position += 6) {
                int256 value = int48(uint48(_read(program, position, 6)));
                _require(value >= 0 || !positive, position);
                if (_size(value) > largest) largest = _size(value);
            }
        }
    }

    /// @dev Follows a tree in preorder and tells how deep it is. The positions where right children must begin
    /// are kept at `waiting`, which has room for as many as a tree may be deep.
    function _depth(
        bytes memory program,
        uint256 position,
        uint256 length,
        bool isWide,
        uint256 keyBytes,
        uint256 features,
        uint256 leaves,
        uint256 waiting
    ) private pure returns (uint256 deepest) {
        uint256 fault;
        assembly ("memory-safe") {
            let here := add(add(program, 32), position)
            let end := add(here, length)
            let bottom := waiting
            let highest := waiting
            let linkBytes := add(2, shl(1, isWide))
            let splitBytes := add(add(linkBytes, add(1, isWide)), keyBytes)
            let link := sub(256, shl(3, linkBytes))
            for {} 1 {} {
                let node := mload(here)
                if iszero(lt(here, end)) {
                    fault := here
                    break
                }
                switch shr(255, node)
                case 0 {
                    let feature := byte(2, node)
                    if isWide { feature := and(shr(208, node), 0xffff) }
                    if iszero(and(lt(feature, features), lt(waiting, add(bottom, shl(5, MOST_DEPTH))))) {
                        fault := here
                        break
                    }
                    mstore(waiting, add(here, shr(link, node)))
                    waiting := add(waiting, 32)
                    if gt(waiting, highest) { highest := waiting }
                    here := add(here, splitBytes)
                }
                default {
                    if iszero(lt(shr(link, shr(1, shl(1, node))), leaves)) {
                        fault := here
                        break
                    }
                    here := add(here, linkBytes)
                    if eq(waiting, bottom) {
                        if xor(here, end) { fault := here }
                        break
                    }
                    waiting := sub(waiting, 32)
                    if xor(mload(waiting), here) {
                        fault := here
                        break
                    }
                }
            }
            deepest := shr(5, sub(highest, bottom))
            if fault { fault := sub(fault, add(program, 31)) }
        }
        if (fault != 0) revert InvalidProgram(fault - 1);
    }

    /// @dev The big-endian value of `width` bytes at `position`.
    function _read(bytes memory program, uint256 position, uint256 width) private pure returns (uint256 value) {
        unchecked {
            if (position + width > program.length) revert InvalidProgram(program.length);
            uint256 unused = 256 - 8 * width;
            assembly ("memory-safe") {
                value := shr(unused, mload(add(add(program, 32), position)))
            }
        }
    }

    function _require(bool holds, uint256 position) private pure {
        if (!holds) revert InvalidProgram(position);
    }

    // --- running ----------------------------------------------------------------------------------

    /// @notice The canonical output for a canonical input.
    ///
    /// WARNING: The program must have passed `check`; of others nothing is said.
    function run(bytes memory program, bytes memory input) internal pure returns (bytes memory output) {
        unchecked {
            Header memory header = _header(program);
            uint256 values = _values(header, input);
            int256[] memory outputs;
            uint256 label;
            if (header.kind == LAYERS) {
                outputs = _runLayers(program, header, values);
                label = _decide(header.decision, outputs);
            } else {
                int256 divisor;
                (outputs, divisor) = _runTrees(program, header, values);
                label = _decide(header.decision, outputs);
                if (header.scores == SHARES) {
                    return abi.encode(OUTPUT_VERSION, label, _shares(header, outputs, divisor));
                }
                for (uint256 k = 0; k < outputs.length; ++k) {
                    outputs[k] = _floorDivide(outputs[k] + divisor / 2, divisor);
                }
            }
            return abi.encode(OUTPUT_VERSION, label, _scores(header, outputs));
        }
    }

    function _header(bytes memory program) private pure returns (Header memory header) {
        uint256 word;
        assembly ("memory-safe") {
            word := mload(add(program, 32))
        }
        header.kind = uint8(word >> 240);
        header.encoding = uint8(word >> 232);
        header.decision = uint8(word >> 224);
        header.scores = uint8(word >> 216);
        header.decimals = uint8(word >> 208);
        header.features = uint16(word >> 192);
        header.outputs = uint16(word >> 176);
    }

    /// @dev The numbers of an input, one to a word.
    function _values(Header memory header, bytes memory input) private pure returns (uint256 values) {
        unchecked {
            uint256 width = header.encoding == KEYS64 ? 8 : 4;
            uint256 expected = 1 + width * header.features;
            if (input.length != expected || uint8(input[0]) != header.encoding) {
                revert InvalidInput(input.length, expected);
            }
            bool isSigned = header.encoding != UNITS;
            uint256 unused = 256 - 8 * width;
            assembly ("memory-safe") {
                values := mload(0x40)
                let from := add(input, 33)
                let to := values
                let end := add(add(input, 32), expected)
                switch isSigned
                case 0 {
                    for {} lt(from, end) { from := add(from, width) } {
                        mstore(to, shr(unused, mload(from)))
                        to := add(to, 32)
                    }
                }
                default {
                    for {} lt(from, end) { from := add(from, width) } {
                        mstore(to, sar(unused, mload(from)))
                        to := add(to, 32)
                    }
                }
                mstore(0x40, to)
            }
        }
    }

    function _runLayers(bytes memory program, Header memory header, uint256 values)
        private
        pure
        returns (int256[] memory outputs)
    {
        unchecked {
            uint256 position;
            uint256 left;
            assembly ("memory-safe") {
                position := add(program, 43)
                left := byte(10, mload(add(program, 32)))
            }
            uint256 incoming = header.features;
            while (left-- != 0) {
                uint256 head;
                assembly ("memory-safe") {
                    head := mload(position)
                }
                outputs = new int256[](head >> 240);
                position = _runLayer(position + 5, head, values, incoming, outputs);
                uint256 activation = uint8(head >> 216);
                if (activation != 0) _activate(activation, outputs);
                incoming = outputs.length;
                assembly ("memory-safe") {
                    values := add(outputs, 32)
                }
            }
        }
    }

    /// @dev Where the layer ends. `head` begins with the width (2 bytes), the bytes a weight takes, and the
    /// shift.
    function _runLayer(uint256 position, uint256 head, uint256 values, uint256 incoming, int256[] memory outputs)
        private
        pure
        returns (uint256)
    {
        assembly ("memory-safe") {
            let weightBytes := byte(2, head)
            let unused := sub(256, shl(3, weightBytes))
            let down := byte(3, head)
            let rounding := shr(1, shl(down, 1))
            let valuesEnd := add(values, shl(5, incoming))
            let end := add(add(outputs, 32), shl(5, mload(outputs)))
            for { let to := add(outputs, 32) } lt(to, end) { to := add(to, 32) } {
                let sum := add(sar(176, mload(position)), rounding)
                position := add(position, 10)
                for { let from := values } lt(from, valuesEnd) { from := add(from, 32) } {
                    sum := add(sum, mul(sar(unused, mload(position)), mload(from)))
                    position := add(position, weightBytes)
                }
                mstore(to, sar(down, sum))
            }
        }
        return position;
    }

    function _activate(uint256 activation, int256[] memory values) private pure {
        unchecked {
            for (uint256 i = 0; i < values.length; ++i) {
                int256 value = values[i];
                if (activation == RELU) {
                    if (value < 0) values[i] = 0;
                } else {
                    int256 tail = _power(_size(value));
                    if (activation == LOGISTIC) {
                        int256 large = (ONE_FRACTION << 32) / (ONE_POWER + tail);
                        values[i] = value >= 0 ? large : ONE_FRACTION - large;
                    } else {
                        int256 size = ((ONE_POWER - tail) << FRACTION_BITS) / (ONE_POWER + tail);
                        values[i] = value >= 0 ? size : -size;
                    }
                }
            }
        }
    }

    function _runTrees(bytes memory program, Header memory header, uint256 values)
        private
        pure
        returns (int256[] memory sums, int256 divisor)
    {
        unchecked {
            sums = new int256[](header.outputs);
            uint256 head;
            uint256 position;
            assembly ("memory-safe") {
                head := mload(add(program, 42))
                position := add(program, 58)
                for { let to := add(sums, 32) } lt(to, add(add(sums, 32), shl(5, mload(sums)))) { to := add(to, 32) } {
                    mstore(to, sar(192, mload(position)))
                    position := add(position, 8)
                }
            }
            divisor = int256(uint256(uint64(head >> 160)));
            uint256 leaves = position;
            uint256 leafBytes = uint8(head >> 240) == 0 ? 6 : 6 * header.outputs;
            position += leafBytes * uint32(head >> 128);
            uint256 trees = uint16(head >> 224);
            // The bits to the right of a threshold, and the bytes of a split.
            (uint256 down, uint256 split) = header.encoding == KEYS64 ? (192, 11) : (224, 7);
            if (uint8(head >> 248) == 0) _sum(position, trees, down, split, values, leaves, leafBytes, sums);
            else _sumWide(position, trees, down, split + 3, values, leaves, leafBytes, sums);
        }
    }

    /// @dev Adds the values of the leaves that `trees` trees give to the sums, which take turns.
    function _sum(
        uint256 position,
        uint256 trees,
        uint256 down,
        uint256 split,
        uint256 values,
        uint256 leaves,
        uint256 leafBytes,
        int256[] memory sums
    ) private pure {
        assembly ("memory-safe") {
            let to := add(sums, 32)
            let end := add(to, shl(5, mload(sums)))
            for {} trees { trees := sub(trees, 1) } {
                let next := add(add(position, 2), shr(240, mload(position)))
                position := add(position, 2)
                let node := mload(position)
                for {} iszero(shr(255, node)) {} {
                    let goesRight := sgt(mload(add(values, shl(5, byte(2, node)))), sar(down, shl(24, node)))
                    position := add(position, add(split, mul(goesRight, sub(shr(240, node), split))))
                    node := mload(position)
                }
                position := next
                let leaf := add(leaves, mul(leafBytes, and(shr(240, node), 0x7fff)))
                for { let leafEnd := add(leaf, leafBytes) } lt(leaf, leafEnd) { leaf := add(leaf, 6) } {
                    mstore(to, add(mload(to), sar(208, mload(leaf))))
                    to := add(to, 32)
                    if eq(to, end) { to := add(sums, 32) }
                }
            }
        }
    }

    /// @dev `_sum` for the wide layout. With one loop for both, which has more variables than the stack has
    /// room for, a forest of 100 trees takes 182k gas instead of 116k.
    function _sumWide(
        uint256 position,
        uint256 trees,
        uint256 down,
        uint256 split,
        uint256 values,
        uint256 leaves,
        uint256 leafBytes,
        int256[] memory sums
    ) private pure {
        assembly ("memory-safe") {
            let to := add(sums, 32)
            let end := add(to, shl(5, mload(sums)))
            for {} trees { trees := sub(trees, 1) } {
                let next := add(add(position, 4), shr(224, mload(position)))
                position := add(position, 4)
                let node := mload(position)
                for {} iszero(shr(255, node)) {} {
                    let feature := and(shr(208, node), 0xffff)
                    let goesRight := sgt(mload(add(values, shl(5, feature))), sar(down, shl(48, node)))
                    position := add(position, add(split, mul(goesRight, sub(shr(224, node), split))))
                    node := mload(position)
                }
                position := next
                let leaf := add(leaves, mul(leafBytes, and(shr(224, node), 0x7fffffff)))
                for { let leafEnd := add(leaf, leafBytes) } lt(leaf, leafEnd) { leaf := add(leaf, 6) } {
                    mstore(to, add(mload(to), sar(208, mload(leaf))))
                    to := add(to, 32)
                    if eq(to, end) { to := add(sums, 32) }
                }
            }
        }
    }

    function _decide(uint256 decision, int256[] memory outputs) private pure returns (uint256 label) {
        unchecked {
            if (decision == POSITIVE) return outputs[0] > 0 ? 1 : 0;
            if (decision == NOT_NEGATIVE) return outputs[0] >= 0 ? 1 : 0;
            if (decision == VALUE) return 0;
            for (uint256 k = 1; k < outputs.length; ++k) {
                if (outputs[k] > outputs[label]) label = k;
            }
        }
    }

    function _scores(Header memory header, int256[] memory outputs) private pure returns (int256[] memory) {
        unchecked {
            if (header.scores == NONE) return new int256[](0);
            if (header.scores == SCALED) return outputs;
            int256 one = int256(10 ** header.decimals);
            if (header.decision != LARGEST) {
                int256 tail = _power(_size(outputs[0]));
                int256 smaller = _rounded(tail * one, ONE_POWER + tail);
                return _two(outputs[0] < 0 ? smaller : one - smaller, one);
            }
            int256 total;
            if (header.scores == EXPONENTIAL) {
                int256 largest = outputs[0];
                for (uint256 k = 1; k < outputs.length; ++k) {
                    if (outputs[k] > largest) largest = outputs[k];
                }
                for (uint256 k = 0; k < outputs.length; ++k) {
                    outputs[k] = _power(uint256(largest - outputs[k]));
                    total += outputs[k];
                }
            } else {
                total = _logistic(outputs);
            }
            for (uint256 k = 0; k < outputs.length; ++k) {
                outputs[k] = _rounded(outputs[k] * one, total);
            }
            return outputs;
        }
    }

    /// @dev Puts in place of every output its logistic function in units of 2^-30, all doubled until one is
    /// at least 1/2; returns their sum.
    function _logistic(int256[] memory outputs) private pure returns (int256 total) {
        unchecked {
            uint256 doublings = type(uint256).max;
            for (uint256 k = 0; k < outputs.length; ++k) {
                uint256 below = outputs[k] < 0 ? uint256(-outputs[k]) : 0;
                if (below < doublings) doublings = below;
            }
            for (uint256 k = 0; k < outputs.length; ++k) {
                uint256 below = outputs[k] < 0 ? uint256(-outputs[k]) : 0;
                outputs[k] =
                    (_power(below - doublings) << FRACTION_BITS) / (ONE_POWER + _power(_size(outputs[k])));
                total += outputs[k];
            }
        }
    }

    function _shares(Header memory header, int256[] memory sums, int256 whole) private pure returns (int256[] memory) {
        unchecked {
            int256 one = int256(10 ** header.decimals);
            if (header.decision != LARGEST) return _two(_rounded((sums[0] + whole) * one, 2 * whole), one);
            for (uint256 k = 0; k < sums.length; ++k) {
                sums[k] = _rounded(sums[k] * one, whole);
            }
            return sums;
        }
    }

    function _two(int256 second, int256 one) private pure returns (int256[] memory scores) {
        unchecked {
            scores = new int256[](2);
            scores[0] = one - second;
            scores[1] = second;
        }
    }

    /// @dev 2^-t in units of 2^-32, for t in units of 2^-30, by a polynomial in the fraction of t.
    function _power(uint256 exponent) private pure returns (int256 result) {
        unchecked {
            int256 fraction = int256(exponent & (2 ** 30 - 1));
            result = 632486 + ((-46477 * fraction) >> 30);
            result = -5702831 + ((result * fraction) >> 30);
            result = 41298541 + ((result * fraction) >> 30);
            result = -238385558 + ((result * fraction) >> 30);
            result = 1031764646 + ((result * fraction) >> 30);
            result = -2977044455 + ((result * fraction) >> 30);
            result = 4294967296 + ((result * fraction) >> 30);
            result >>= exponent >> 30;
        }
    }

    /// @dev A fraction of nothing negative, rounded, halves upwards.
    function _rounded(int256 numerator, int256 denominator) private pure returns (int256) {
        unchecked {
            return (numerator + denominator / 2) / denominator;
        }
    }

    function _floorDivide(int256 numerator, int256 denominator) private pure returns (int256 quotient) {
        unchecked {
            quotient = numerator / denominator;
            if (numerator < 0 && quotient * denominator != numerator) --quotient;
        }
    }

    function _size(int256 value) private pure returns (uint256) {
        unchecked {
            return uint256(value < 0 ? -value : value);
        }
    }
}
