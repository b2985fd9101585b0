// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Access, Grant, GrantTerms, IDataShare} from "./interfaces/IDataShare.sol";

/// @title DataShare
/// @notice See `IDataShare`, which is the specification.
contract DataShare is IDataShare {
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

    /// @inheritdoc IDataShare
    mapping(address owner => mapping(address grantee => uint24)) public generationOf;

    mapping(address owner => mapping(address grantee => mapping(bytes32 resource => Grant))) private _grants;

    mapping(address owner => mapping(bytes32 dataKey => bytes32)) private _contentHashes;

    // --- granting ---------------------------------------------------------------------------------

    /// @inheritdoc IDataShare
    function grantAccess(address user) external {
        _grant(user, EVERYTHING, GrantTerms({rights: READ, expiry: NEVER, uses: UNLIMITED, meter: address(0)}), "");
    }

    /// @inheritdoc IDataShare
    function revokeAccess(address user) external {
        uint24 generation = ++generationOf[msg.sender][user];

        emit AllAccessRevoked(msg.sender, user, generation);
    }

    /// @inheritdoc IDataShare
    function grant(address grantee, bytes32 resource, GrantTerms calldata terms, bytes calldata wrappedKey)
        external
    {
        _grant(grantee, resource, terms, wrappedKey);
    }

    /// @inheritdoc IDataShare
    function revoke(address grantee, bytes32 resource) external {
        delete _grants[msg.sender][grantee][resource];

        emit AccessRevoked(msg.sender, grantee, resource);
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

        uint24 generation = generationOf[owner][grantee];
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
    function consume(address owner, address grantee, bytes32 resource) external {
        if (owner == grantee) return;

        Grant storage stored = _grants[owner][grantee][resource];
        Access access = _judge(stored, generationOf[owner][grantee], INFER);
        if (access != Access.Granted) revert AccessDenied(owner, grantee, resource, INFER, access);
        if (stored.meter != msg.sender) revert NotMeter(stored.meter, msg.sender);

        if (stored.uses != UNLIMITED) --stored.uses;
    }

    /// @inheritdoc IDataShare
    function grantOf(address owner, address grantee, bytes32 resource) external view returns (Grant memory) {
        return _grants[owner][grantee][resource];
    }

    // --- internal ---------------------------------------------------------------------------------

    function _grant(address grantee, bytes32 resource, GrantTerms memory terms, bytes memory wrappedKey) private {
        uint8 rights = terms.rights;
        if (grantee == address(0)) revert GranteeIsZero();
        if (rights == 0 || rights & ~ALL_RIGHTS != 0) revert InvalidRights(rights, ALL_RIGHTS);
        if (resource == EVERYTHING && rights != READ) revert ResourceIsEverything(rights);
        if (terms.expiry < block.timestamp) revert ExpiryPassed(terms.expiry, block.timestamp);
        if (rights & INFER != 0) {
            if (terms.uses == 0) revert QuotaIsZero();
            if (terms.meter == address(0)) revert MeterIsZero();
        }

        uint24 generation = generationOf[msg.sender][grantee];
        _grants[msg.sender][grantee][resource] = Grant({
            meter: terms.meter,
            expiry: terms.expiry,
            uses: terms.uses,
            generation: generation,
            rights: rights
        });

        emit AccessGranted(
            msg.sender, grantee, resource, rights, terms.expiry, terms.uses, terms.meter, generation, wrappedKey
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
