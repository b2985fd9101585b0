// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    Access,
    Grant,
    GrantItem,
    GrantTerms,
    IDataShare,
    RevokeItem,
    SignedGrant
} from "../../../contracts/interfaces/IDataShare.sol";
import {Digests} from "../market/Digests.sol";
import {Log, vm} from "../market/Vm.sol";

/// @notice Owners who grant, sign and revoke; and what an onlooker knows from the events alone.
contract Sharing {
    uint8 private constant READ = 1;
    uint8 private constant INFER = 2;

    struct Signature {
        SignedGrant signed;
        bytes bytes_;
    }

    IDataShare public immutable dataShare;
    address[2] public owners = [vm.addr(61), vm.addr(62)];
    address[3] public grantees = [vm.addr(63), vm.addr(64), vm.addr(61)];
    bytes32[3] public resources = [bytes32(0), keccak256("a"), keccak256("b")];

    Signature[] private _signatures;
    mapping(address owner => bool) public allowed;
    mapping(address owner => uint64) private _epochs;
    mapping(address owner => mapping(address grantee => uint64)) private _spent;

    /// @dev Rebuilt from events; `uses` is counted down where the meter consumes.
    mapping(address owner => mapping(address grantee => mapping(bytes32 resource => Grant))) private _seen;
    mapping(address owner => mapping(address grantee => uint24)) public generations;

    constructor(IDataShare dataShare_) {
        dataShare = dataShare_;
        vm.recordLogs();
    }

    modifier onlooking() {
        _;
        Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            _read(logs[i]);
        }
    }

    // --- handlers ---------------------------------------------------------------------------------

    function grant(uint256 seed, uint40 length) external onlooking {
        (address owner, address grantee) = _pair(seed);
        bytes32 resource = resources[seed / 8 % 3];
        vm.prank(owner);
        dataShare.grant(grantee, resource, _terms(resource, seed / 32, length), "");
    }

    function grantAccess(uint256 seed) external onlooking {
        (address owner, address grantee) = _pair(seed);
        vm.prank(owner);
        dataShare.grantAccess(grantee);
    }

    function grantMany(uint256 seed, uint40 length) external onlooking {
        GrantItem[] memory items = new GrantItem[](1 + seed % 3);
        for (uint256 i = 0; i < items.length; ++i) {
            uint256 own = uint256(keccak256(abi.encode(seed, i)));
            bytes32 resource = resources[own / 8 % 3];
            items[i] = GrantItem(grantees[own % 3], resource, _terms(resource, own / 32, length), "");
        }
        vm.prank(owners[seed / 4 % 2]);
        dataShare.grantMany(items);
    }

    function revoke(uint256 seed) external onlooking {
        (address owner, address grantee) = _pair(seed);
        vm.prank(owner);
        dataShare.revoke(grantee, resources[seed / 8 % 3]);
        if (allowed[owner]) ++_spent[owner][grantee];
    }

    function revokeMany(uint256 seed) external onlooking {
        address owner = owners[seed % 2];
        RevokeItem[] memory items = new RevokeItem[](1 + seed / 2 % 3);
        for (uint256 i = 0; i < items.length; ++i) {
            items[i] = RevokeItem(grantees[(seed / 8 + i) % 3], resources[(seed / 32 + i) % 3]);
            if (allowed[owner]) ++_spent[owner][items[i].grantee];
        }
        vm.prank(owner);
        dataShare.revokeMany(items);
    }

    function revokeAccess(uint256 seed) external onlooking {
        (address owner, address grantee) = _pair(seed);
        vm.prank(owner);
        dataShare.revokeAccess(grantee);
    }

    function allowSignedGrants(uint256 seed) external onlooking {
        address owner = owners[seed % 2];
        bool allow = seed & 6 != 0;
        if (allow && !allowed[owner]) ++_epochs[owner];
        allowed[owner] = allow;
        vm.prank(owner);
        dataShare.allowSignedGrants(allow);
    }

    /// @dev Signs for now or, now and then, for the nonce to come.
    function sign(uint256 seed, uint40 length) external onlooking {
        _sign(seed, seed / 1024 % 4 == 0 ? 1 : 0, length);
    }

    function redeem(uint256 seed, uint40 length) external onlooking {
        for (uint256 i = 0; i < _signatures.length; ++i) {
            if (_redeem((seed % _signatures.length + i) % _signatures.length)) return;
        }
        _sign(seed, 0, length);
        vm.assume(_redeem(_signatures.length - 1));
    }

    function consume(uint256 seed) external onlooking {
        for (uint256 i = 0; i < 18; ++i) {
            uint256 place = (seed % 18 + i) % 18;
            (address owner, address grantee) = (owners[place % 2], grantees[place / 2 % 3]);
            bytes32 resource = resources[place / 6];
            if (owner == grantee || told(owner, grantee, resource, INFER) != Access.Granted) continue;
            Grant storage seen = _seen[owner][grantee][resource];
            dataShare.consume(owner, grantee, resource, 1);
            if (seen.uses != type(uint24).max) --seen.uses;
            return;
        }
        vm.assume(false);
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + 1 + time % 12 hours);
    }

    // --- reading ----------------------------------------------------------------------------------

    function seenOf(address owner, address grantee, bytes32 resource) external view returns (Grant memory) {
        return _seen[owner][grantee][resource];
    }

    function signatureCount() external view returns (uint256) {
        return _signatures.length;
    }

    function signatureAt(uint256 place) external view returns (SignedGrant memory signed, bytes memory signature) {
        return (_signatures[place].signed, _signatures[place].bytes_);
    }

    /// @notice What the next signature must carry: how often signatures were begun to be allowed, then how
    /// many were redeemed or voided.
    function nonceOf(address owner, address grantee) public view returns (uint64) {
        return (_epochs[owner] << 32) + _spent[owner][grantee];
    }

    /// @notice Whether a signature can be redeemed, by all that its owner did since.
    function isRedeemable(uint256 place) public view returns (bool) {
        SignedGrant storage signed = _signatures[place].signed;
        return allowed[signed.owner] && signed.generation == generations[signed.owner][signed.grantee]
            && signed.nonce == nonceOf(signed.owner, signed.grantee) && block.timestamp <= signed.deadline
            && block.timestamp <= signed.terms.expiry;
    }

    /// @notice What `accessOf` must say of one right, by the events.
    function told(address owner, address grantee, bytes32 resource, uint8 right) public view returns (Access) {
        if (owner == grantee && right & 3 == right && right != 0) return Access.Granted;
        Access scoped = _judge(owner, grantee, resource, right);
        if (scoped == Access.Granted || right != READ) return scoped;
        Access blanket = _judge(owner, grantee, 0, right);
        return blanket == Access.Granted || scoped == Access.NotGranted ? blanket : scoped;
    }

    // --- internal ---------------------------------------------------------------------------------

    function _pair(uint256 seed) private view returns (address owner, address grantee) {
        return (owners[seed % 2], grantees[seed / 2 % 3]);
    }

    function _terms(bytes32 resource, uint256 seed, uint40 length) private view returns (GrantTerms memory) {
        uint8 rights = resource == 0 ? READ : uint8(1 + seed % 7);
        uint24 uses = seed / 8 % 8 == 0 ? type(uint24).max : uint24(1 + seed / 64 % 3);
        return GrantTerms(rights, uint40(block.timestamp + length % 2 days), uses, address(this));
    }

    function _sign(uint256 seed, uint64 ahead, uint40 length) private {
        (address owner, address grantee) = _pair(seed);
        bytes32 resource = resources[seed / 8 % 3];
        SignedGrant memory signed = SignedGrant({
            owner: owner,
            grantee: grantee,
            resource: resource,
            terms: _terms(resource, seed / 32, 1 days),
            generation: generations[owner][grantee],
            nonce: nonceOf(owner, grantee) + ahead,
            deadline: block.timestamp + length % 1 days
        });
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(owner == owners[0] ? 61 : 62, Digests.ofGrant(address(dataShare), signed, ""));
        _signatures.push(Signature(signed, abi.encodePacked(r, s, v)));
    }

    function _redeem(uint256 place) private returns (bool) {
        if (!isRedeemable(place)) return false;
        Signature storage signature = _signatures[place];
        dataShare.redeemGrant(signature.signed, "", signature.bytes_);
        ++_spent[signature.signed.owner][signature.signed.grantee];
        return true;
    }

    function _read(Log memory log) private {
        if (log.emitter != address(dataShare) || log.topics.length < 3) return;
        address owner = address(uint160(uint256(log.topics[1])));
        address grantee = address(uint160(uint256(log.topics[2])));
        if (log.topics[0] == IDataShare.AccessGranted.selector) {
            (uint8 rights, uint40 expiry, uint24 uses, address meter, uint24 generation,) =
                abi.decode(log.data, (uint8, uint40, uint24, address, uint24, bytes));
            _seen[owner][grantee][log.topics[3]] = Grant(meter, expiry, uses, generation, rights);
        } else if (log.topics[0] == IDataShare.AccessRevoked.selector) {
            delete _seen[owner][grantee][log.topics[3]];
        } else if (log.topics[0] == IDataShare.AllAccessRevoked.selector) {
            generations[owner][grantee] = abi.decode(log.data, (uint24));
        }
    }

    function _judge(address owner, address grantee, bytes32 resource, uint8 right) private view returns (Access) {
        Grant storage seen = _seen[owner][grantee][resource];
        if (seen.rights == 0) return Access.NotGranted;
        if (seen.generation != generations[owner][grantee]) return Access.Revoked;
        if (seen.expiry < block.timestamp) return Access.Expired;
        if (seen.rights & right == 0) return Access.RightMissing;
        return right == INFER && seen.uses == 0 ? Access.QuotaExhausted : Access.Granted;
    }
}
