package Mesh::Test::Storage;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A node that serves the storage API: the ucan and storage modules, and those
# in "more" (identity).
#
#     for my $adapter (Mesh::Test::Storage->adapters) {
#         my $node = Mesh::Test::Storage->new(adapter => $adapter)->start;
#         my $token = $node->token(ns => 'notes', can => [qw(read write)]);
#
#         is($node->put('kv/notes/a', 'text', token => $token)->status, 201,
#            "$adapter: a new key is created");
#     }
#
# Paths are those below /api/storage/ unless they begin with a slash.
# Requests take what those of Mesh::Test do; without "token" they come with
# one that may do everything.
#
# Options beside those of Mesh::Test:
#
#     adapter     sqlite (default) or mongo
#     more        further modules
#     directives  { name => value } for http {}
#     location    text inside location /api/storage
#     locations   text beside it, inside the server
#
# Adapters are left out by MESH_TEST_ADAPTERS, names with commas.

use strict;
use warnings;

use Test::More ();

use Mesh::Test;
use Mesh::Test::Mint;
use Mesh::Test::Wire;

use parent -norequire, 'Mesh::Test';

my %why_not;                # adapters that cannot run here
my $tokens = 0;


sub adapters {
    my ($class) = @_;

    my @wanted = split /,/, $ENV{MESH_TEST_ADAPTERS} // 'sqlite,mongo';
    my @found;

    for my $adapter (@wanted) {
        my $why = $why_not{$adapter} //= $class->why_not($adapter);

        if ($why) {
            Test::More::diag("NOT TESTED on $adapter: $why");
            next;
        }

        push @found, $adapter;
    }

    return @found;
}


# Why an adapter cannot run here; empty: it can.

sub why_not {
    my ($class, $adapter) = @_;

    return $adapter eq 'sqlite' ? '' : Mesh::Test::Wire->why_not;
}


sub new {
    my ($class, %opt) = @_;

    my $adapter = $opt{adapter} ||= 'sqlite';
    my $server = $adapter eq 'mongo' ? Mesh::Test::Wire->new : undef;
    my %directives = (
        mesh_storage_mongo => $server ? $server->uri : 'off',
        %{ $opt{directives} || {} });

    my $lines = join '', map { "    $_  $directives{$_};\n" }
                sort keys %directives;

    $opt{location} //= '';
    $opt{locations} //= '';
    $opt{conf} //= '';

    my $self = $class->SUPER::new(
        %opt,
        modules => [ qw(ucan storage), @{ $opt{more} || [] } ],
        data    => 1,
        main    => ($opt{main} // '') . "\nthread_pool  store  threads=2;\n",
        server  => undef,
        conf    => <<"END",
    client_max_body_size         0;
    client_body_buffer_size      64k;
    large_client_header_buffers  4 32k;

    mesh_storage              %%DATA%%/mesh.db;
    mesh_storage_thread_pool  store;
    mesh_storage_cursor_key   %%DATA%%/cursor.key;

    ucan_audience             file:%%DATA%%/mesh.did;
    ucan_trust                file:%%DATA%%/mesh.did;
    ucan_revocation_zone      revocations:1m;

$lines
$opt{conf}

    server {
        listen       127.0.0.1:%%PORT%%;
        server_name  localhost;

        location /api/storage {
            ucan              on;
            mesh_storage_api  on;
$opt{location}
        }

$opt{locations}
    }
END
    );

    $self->{server_process} = $server;

    return $self;
}


# A session for the holder NAME ("ada").  Options:
#
#     name        of the holder's key
#     can         commands: read, write, admin, or with their slashes ("/mesh/
#                 admin"); default: read and write
#     ns          namespace, and all below it ("a.b" below "a"); exact: only it
#     kind        kv, docs, blobs
#     key_prefix  what keys must start with
#     policy      JSON, statements instead of these
#     exp         seconds

sub token {
    my ($self, %opt) = @_;

    my $name = $opt{name} || 'ada';
    my $policy = $opt{policy} // policy(%opt);
    my $exp = $opt{exp} || 3600;
    my $n = 0;

    my @lines = map {
        my $command = m{^/} ? $_ : "/storage/$_";
        $n++;

        "delegation d$n aud=$name cmd=$command"
        . " nonce=n" . $tokens++ . ($policy ? " policy=$policy" : '') . "\n";
    } @{ $opt{can} || [qw(read write)] };

    my $list = join ',', map { "d$_" } 1 .. $n;
    my $seed = Mesh::Test::slurp($self->data . '/mesh.key') =~ s/\s+\z//r;
    my $nonce = 'n' . $tokens++;

    return Mesh::Test::Mint->mint(<<"END")->{token};
key mesh seed=$seed
@lines
invocation open iss=$name sub=$name cmd=/session/open nonce=$nonce exp=$exp
container token list=$list,open
END
}


sub policy {
    my (%opt) = @_;

    my @all;

    if (defined $opt{ns}) {
        push @all, $opt{exact}
            ? qq{["==",".ns","$opt{ns}"]}
            : qq{["or",[["==",".ns","$opt{ns}"],["like",".ns","$opt{ns}.*"]]]};
    }

    push @all, qq{["==",".kind","$opt{kind}"]} if defined $opt{kind};
    push @all, qq{["like",".key","$opt{key_prefix}*"]}
        if defined $opt{key_prefix};

    return @all ? '[' . join(',', @all) . ']' : '';
}


# The DID of a holder.

sub holder { return Mesh::Test::Mint->did($_[1] || 'ada') }


# One that may do everything, as the mesh's owner.

sub owner_token {
    my ($self) = @_;

    return $self->{owner_token}
        ||= $self->token(name => 'owner', can => ['/']);
}


sub begin {
    my ($self, $method, $path, %opt) = @_;

    $path = "/api/storage/$path" unless $path =~ m{^/};
    $opt{token} = $self->owner_token unless exists $opt{token};

    return $self->SUPER::begin($method, $path, %opt);
}


# All items of a list, page by page: (items, pages).

sub list {
    my ($self, $path, %opt) = @_;

    my @items;
    my $pages = 0;
    my $cursor;

    do {
        my $sign = $path =~ /\?/ ? '&' : '?';
        my $page = $self->get(
            defined $cursor ? "$path${sign}cursor=$cursor" : $path, %opt);

        die 'list: ' . $page->raw if $page->status != 200;

        push @items, @{ $page->json->{items} };
        $cursor = $page->json->{next};
        $pages++;
    } while (defined $cursor);

    return (\@items, $pages);
}


sub DESTROY {
    my ($self) = @_;

    $self->SUPER::DESTROY;
    delete $self->{server_process};

    return;
}


1;
