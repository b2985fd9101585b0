// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {
    Access,
    Grant,
    GrantItem,
    GrantTerms,
    IDataShare,
    RevokeItem,
    SignedGrant
} from "./interfaces/IDataShare.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title DataShare
/// @notice See `IDataShare`, which is the specification.
contract DataShare is IDataShare, EIP712 {
    /// @dev What an owner and a grantee have in common, whatever the resource.
    struct Relation {
        uint24 generation;
        uint32 nonce;
    }

    /// @dev Whether an owner allows grants by signature, and how often it has begun to.
    struct Signing {
        bool allowed;
        uint32 epoch;
    }

    /// @inheritdoc IDataShare
    bytes32 public constant EVERYTHING = bytes32(0);
    /// @inheritdoc IDataShare
    uint8 public constant READ = 1;
    /// @inheritdoc IDataShare
    uint8 public constant INFER = 2;
    /// @inheritdoc IDataShare
    uint8 public constant SERVE = 4;

    uint8 private constant ALL_RIGHTS = READ | INFER | SERVE;
    uint24 private constant UNLIMITED = type(uint24).max;
    uint40 private constant NEVER = type(uint40).max;
    uint256 private constant WRAPPED_KEY_LENGTH = 80;

    bytes32 private constant SIGNED_GRANT_TYPEHASH = keccak256(
        "SignedGrant(address owner,address grantee,bytes32 resource,uint8 rights,uint40 expiry,uint24 uses,address meter,uint24 generation,uint64 nonce,uint256 deadline,bytes wrappedKey)"
    );

    mapping(address owner => Signing) private _signing;

    mapping(address owner => mapping(address grantee => Relation)) private _relations;

    mapping(address owner => mapping(address grantee => mapping(bytes32 resource => Grant))) private _grants;

    mapping(address owner => mapping(bytes32 dataKey => bytes32)) private _contentHashes;

    mapping(address account => uint32) private _keyCounts;

    /// @inheritdoc IDataShare
    mapping(address account => mapping(uint32 index => bytes32)) public keyAt;

    constructor() EIP712("modelward DataShare", "1") {}

    // --- granting ---------------------------------------------------------------------------------

    /// @inheritdoc IDataShare
    function grantAccess(address user) external {
        _grant(msg.sender, user, EVERYTHING, GrantTerms({rights: READ, expiry: NEVER, uses: UNLIMITED, meter: address(0)}), msg.data[0:0]);
    }

    /// @inheritdoc IDataShare
    function revokeAccess(address user) external {
        uint24 generation = ++_relations[msg.sender][user].generation;

        emit AllAccessRevoked(msg.sender, user, generation);
    }

    /// @inheritdoc IDataShare
    function grant(address grantee, bytes32 resource, GrantTerms calldata terms, bytes calldata wrappedKey)
        external
    {
        _grant(msg.sender, grantee, resource, terms, wrappedKey);
    }

    /// @inheritdoc IDataShare
    function revoke(address grantee, bytes32 resource) external {
        _revoke(grantee, resource);
    }

    /// @inheritdoc IDataShare
    function grantMany(GrantItem[] calldata items) external {
        for (uint256 i = 0; i < items.length; ++i) {
            GrantItem calldata item = items[i];
            _grant(msg.sender, item.grantee, item.resource, item.terms, item.wrappedKey);
        }
    }

    /// @inheritdoc IDataShare
    function revokeMany(RevokeItem[] calldata items) external {
        for (uint256 i = 0; i < items.length; ++i) {
            _revoke(items[i].grantee, items[i].resource);
        }
    }

    /// @inheritdoc IDataShare
    function rewrapKeys(bytes32 resource, address[] calldata grantees, bytes calldata wrappedKeys) external {
        uint256 expected = grantees.length * WRAPPED_KEY_LENGTH;
        if (wrappedKeys.length != expected) revert WrappedKeysLength(wrappedKeys.length, expected);

        emit KeysRewrapped(msg.sender, resource, grantees, wrappedKeys);
    }

    // --- granting by signature --------------------------------------------------------------------

    /// @inheritdoc IDataShare
    function allowSignedGrants(bool allowed) external {
        Signing storage signing = _signing[msg.sender];
        if (allowed && !signing.allowed) ++signing.epoch;
        signing.allowed = allowed;

        emit SignedGrantsAllowed(msg.sender, allowed);
    }

    /// @inheritdoc IDataShare
    function redeemGrant(SignedGrant calldata signed, bytes calldata wrappedKey, bytes calldata signature)
        external
    {
        if (block.timestamp > signed.deadline) revert SignatureExpired(signed.deadline, block.timestamp);
        if (!signedGrantsAllowed(signed.owner)) revert SignedGrantsNotAllowed(signed.owner);
        Relation storage relation = _relations[signed.owner][signed.grantee];
        if (signed.generation != relation.generation) {
            revert WrongGeneration(signed.generation, relation.generation);
        }
        uint64 nonce = nonceOf(signed.owner, signed.grantee);
        if (signed.nonce != nonce) revert WrongNonce(signed.nonce, nonce);
        bytes32 digest = _hashTypedDataV4(
            keccak256(
                abi.encode(
                    SIGNED_GRANT_TYPEHASH,
                    signed.owner,
                    signed.grantee,
                    signed.resource,
                    signed.terms,
                    signed.generation,
                    signed.nonce,
                    signed.deadline,
                    keccak256(wrappedKey)
                )
            )
        );
        Signatures.requireSigned(signed.owner, digest, signature);

        ++relation.nonce;
        _grant(signed.owner, signed.grantee, signed.resource, signed.terms, wrappedKey);
    }

    /// @inheritdoc IDataShare
    function nonceOf(address owner, address grantee) public view returns (uint64) {
        return uint64(_signing[owner].epoch) << 32 | _relations[owner][grantee].nonce;
    }

    /// @inheritdoc IDataShare
    function signedGrantsAllowed(address owner) public view returns (bool) {
        return _signing[owner].allowed;
    }

    // --- encryption keys --------------------------------------------------------------------------

    /// @inheritdoc IDataShare
    function registerKey(bytes32 publicKey) external returns (uint32 index) {
        if (publicKey == bytes32(0)) revert KeyIsZero();

        index = ++_keyCounts[msg.sender];
        keyAt[msg.sender][index] = publicKey;

        emit KeyRegistered(msg.sender, index, publicKey);
    }

    /// @inheritdoc IDataShare
    function keyOf(address account) external view returns (uint32 index, bytes32 publicKey) {
        index = _keyCounts[account];
        publicKey = keyAt[account][index];
    }

    // --- publishing and reading -------------------------------------------------------------------

    /// @inheritdoc IDataShare
    function publishData(bytes32 dataKey, bytes32 contentHash, string calldata uri) external {
        if (dataKey == EVERYTHING) revert ResourceIsEverything(0);
        if (contentHash == bytes32(0)) revert ContentHashIsZero();

        _contentHashes[msg.sender][dataKey] = contentHash;

        emit DataPublished(msg.sender, dataKey, contentHash, uri);
    }

    /// @inheritdoc IDataShare
    function fetchData(address owner, bytes32 dataKey) external view returns (bytes32 contentHash) {
        requireAccess(owner, msg.sender, dataKey, READ);
        contentHash = _contentHashes[owner][dataKey];
        if (contentHash == bytes32(0)) revert NotPublished(owner, dataKey);
    }

    // --- checking and consuming -------------------------------------------------------------------

    /// @inheritdoc IDataShare
    function accessOf(address owner, address grantee, bytes32 resource, uint8 right)
        public
        view
        returns (Access)
    {
        if (owner == grantee && right != 0) {
            right &= ~(READ | INFER);
            if (right == 0) return Access.Granted;
        }

        uint24 generation = _relations[owner][grantee].generation;
        Grant storage held = _grants[owner][grantee][resource];
        Access scoped = _judge(held, generation, right);
        if (scoped == Access.Granted || right & READ == 0) return scoped;

        Access blanket = _judge(_grants[owner][grantee][EVERYTHING], generation, READ);
        if (blanket == Access.Granted) {
            return right == READ ? Access.Granted : _judge(held, generation, right & ~READ);
        }
        return scoped == Access.NotGranted ? blanket : scoped;
    }

    /// @inheritdoc IDataShare
    function requireAccess(address owner, address grantee, bytes32 resource, uint8 right) public view {
        Access access = accessOf(owner, grantee, resource, right);
        if (access != Access.Granted) revert AccessDenied(owner, grantee, resource, right, access);
    }

    /// @inheritdoc IDataShare
    function consume(address owner, address grantee, bytes32 resource, uint256 count) external {
        if (owner == grantee) return;

        Grant storage held = _grants[owner][grantee][resource];
        Access access = _judge(held, _relations[owner][grantee].generation, INFER);
        uint24 uses = held.uses;
        if (access == Access.Granted && count > uses) access = Access.QuotaExhausted;
        if (access != Access.Granted) revert AccessDenied(owner, grantee, resource, INFER, access);
        if (held.meter != msg.sender) revert NotMeter(held.meter, msg.sender);

        if (uses != UNLIMITED) held.uses = uses - uint24(count);
    }

    /// @inheritdoc IDataShare
    function grantOf(address owner, address grantee, bytes32 resource) external view returns (Grant memory) {
        return _grants[owner][grantee][resource];
    }

    /// @inheritdoc IDataShare
    function generationOf(address owner, address grantee) external view returns (uint24) {
        return _relations[owner][grantee].generation;
    }

    // --- internal ---------------------------------------------------------------------------------

    function _revoke(address grantee, bytes32 resource) private {
        delete _grants[msg.sender][grantee][resource];
        if (signedGrantsAllowed(msg.sender)) ++_relations[msg.sender][grantee].nonce;

        emit AccessRevoked(msg.sender, grantee, resource);
    }

    function _grant(
        address owner,
        address grantee,
        bytes32 resource,
        GrantTerms memory terms,
        bytes calldata wrappedKey
    ) private {
        uint8 rights = terms.rights;
        if (grantee == address(0)) revert GranteeIsZero();
        if (rights == 0 || rights & ~ALL_RIGHTS != 0) revert InvalidRights(rights, ALL_RIGHTS);
        if (resource == EVERYTHING && rights != READ) revert ResourceIsEverything(rights);
        if (terms.expiry < block.timestamp) revert ExpiryPassed(terms.expiry, block.timestamp);
        if (rights & INFER != 0) {
            if (terms.uses == 0) revert QuotaIsZero();
            if (terms.meter == address(0)) revert MeterIsZero();
        }

        if (wrappedKey.length != 0 && rights & (READ | SERVE) != 0 && _keyCounts[grantee] == 0) {
            revert GranteeHasNoKey(grantee);
        }

        uint24 generation = _relations[owner][grantee].generation;
        Grant storage stored = _grants[owner][grantee][resource];
        stored.meter = terms.meter;
        stored.expiry = terms.expiry;
        stored.uses = terms.uses;
        stored.generation = generation;
        stored.rights = rights;

        emit AccessGranted(
            owner, grantee, resource, rights, terms.expiry, terms.uses, terms.meter, generation, wrappedKey
        );
    }

    /// @dev In order of finality: a grant that was revoked and has expired is Revoked.
    function _judge(Grant storage held, uint24 generation, uint8 right) private view returns (Access) {
        if (held.rights == 0) return Access.NotGranted;
        if (held.generation != generation) return Access.Revoked;
        if (held.expiry < block.timestamp) return Access.Expired;
        if (right == 0 || held.rights & right != right) return Access.RightMissing;
        if (right & INFER != 0 && held.uses == 0) return Access.QuotaExhausted;
        return Access.Granted;
    }
}
